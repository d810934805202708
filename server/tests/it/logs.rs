//! Logs: fenced on their way in, followed on their way out.

use proto::v1::{self, agent_service_client::AgentServiceClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    agent::{Agent, started, succeeded},
    stack::{ONE, Stack, soon},
};

pub(crate) struct Intake {
    up: mpsc::Sender<v1::LogChunk>,
    acks: tonic::Streaming<v1::LogAck>,
}

impl Intake {
    pub(crate) async fn open(stack: &Stack) -> Self {
        let (up, rx) = mpsc::channel(16);
        let mut client = AgentServiceClient::new(stack.channel().await);
        let acks = client.logs(ReceiverStream::new(rx)).await.unwrap().into_inner();
        Self { up, acks }
    }

    pub(crate) async fn send(&mut self, offer: &v1::Offer, offset: u64, data: &str, end: bool) -> v1::LogAck {
        self.send_after(offer, 0, offset, data, end).await
    }

    /// With so many bytes lost before it.
    pub(crate) async fn send_after(
        &mut self,
        offer: &v1::Offer,
        lost: u64,
        offset: u64,
        data: &str,
        end: bool,
    ) -> v1::LogAck {
        let chunk = v1::LogChunk {
            attempt: offer.attempt.clone(),
            token: offer.token.clone(),
            stream: v1::LogStream::Stdout.into(),
            offset,
            data: data.into(),
            lost,
            end,
            ..v1::LogChunk::default()
        };
        self.say(chunk).await
    }

    pub(crate) async fn say(&mut self, chunk: v1::LogChunk) -> v1::LogAck {
        self.up.send(chunk).await.unwrap();
        soon("an acknowledgement", self.acks.message())
            .await
            .unwrap()
            .unwrap()
    }
}

async fn follow(stack: &Stack, run: &str, offset: u64) -> tonic::Streaming<v1::RunLogsResponse> {
    let request = v1::RunLogsRequest {
        run_id: run.to_owned(),
        step: "only".to_owned(),
        follow: true,
        offset,
        ..v1::RunLogsRequest::default()
    };
    stack.runs().await.logs(request).await.unwrap().into_inner()
}

async fn text(mut stream: tonic::Streaming<v1::RunLogsResponse>) -> String {
    let mut bytes = Vec::new();
    while let Some(piece) = soon("a piece", stream.message()).await.unwrap() {
        bytes.extend(piece.data);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_followed_to_their_end_which_may_come_after_the_report() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    let following = follow(&stack, &run, 0).await;
    session.report(&offer, started()).await;
    let mut intake = Intake::open(&stack).await;
    assert_eq!(intake.send(&offer, 0, "hello ", false).await.offset, 6);
    assert_eq!(
        intake.send(&offer, 3, "lo there", false).await.offset,
        11,
        "overlap is idempotent"
    );
    assert_eq!(
        intake.send(&offer, 50, "gap", false).await.offset,
        11,
        "a gap is not taken"
    );
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(intake.send(&offer, 11, ", you\n", true).await.offset, 17);
    assert_eq!(text(following).await, "hello there, you\n");
    assert_eq!(text(follow(&stack, &run, 6).await).await, "there, you\n");
    assert_eq!(text(follow(&stack, &run, 17).await).await, "");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_step_that_never_ran_ends_with_its_run() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let following = follow(&stack, &run, 0).await;
    let request = v1::CancelRunRequest {
        run_id: run.clone(),
        reason: String::new(),
    };
    stack.runs().await.cancel(request).await.unwrap();
    assert_eq!(text(following).await, "");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_token_is_refused() {
    let stack = Stack::start().await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 2).await;
    let (first, second) = (stack.start_run(ONE).await, stack.start_run(ONE).await);
    let (a, b) = (session.offer().await, session.offer().await);
    let mut intake = Intake::open(&stack).await;
    let crossed = v1::Offer {
        attempt: b.attempt.clone(),
        ..a.clone()
    };
    assert!(!intake.send(&crossed, 0, "forged", false).await.refused.is_empty());
    let unknown = v1::Offer {
        token: types::LeaseToken::new(types::Timestamp::from_unix_ms(1), [9; 10]).to_string(),
        ..a.clone()
    };
    assert!(!intake.send(&unknown, 0, "forged", false).await.refused.is_empty());
    // The stream goes on for the others, and the one bound before keeps its own place.
    assert_eq!(intake.send(&a, 0, "own", true).await.offset, 3);
    assert_eq!(intake.send(&crossed, 3, "forged", true).await.offset, 3);
    session.report(&a, succeeded()).await;
    session.ack(&a.token).await;
    let of = |offer: &v1::Offer| offer.attempt.as_ref().unwrap().run_id.clone();
    assert_eq!(text(follow(&stack, &of(&a), 0).await).await, "own");
    assert!([first, second].contains(&of(&b)));
    stack.stop().await;
}
