//! An agent that does what the test says: it runs nothing.

use proto::v1::{
    self, agent_service_client::AgentServiceClient, report::Body, session_down::Message as Down,
    session_up::Message as Up,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};
use types::{AgentId, AttemptReport, Failure, FailureKind, Object, Timestamp, Usage, Verdict};

use crate::stack::{Stack, soon};

pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) dial: u64,
}

pub(crate) struct Session {
    pub(crate) id: String,
    up: mpsc::Sender<v1::SessionUp>,
    down: Streaming<v1::SessionDown>,
}

impl Agent {
    pub(crate) fn new(n: u8) -> Self {
        Self {
            id: AgentId::new(Timestamp::from_unix_ms(1_000), [n; 10]),
            dial: 0,
        }
    }

    pub(crate) fn hello(&self, inventory: Vec<v1::InventoryItem>) -> v1::Hello {
        v1::Hello {
            agent_id: self.id.to_string(),
            name: "scripted".to_owned(),
            version: "0".to_owned(),
            protocol: 1,
            capacity: 4,
            runtimes: vec!["native".to_owned()],
            inventory,
            dial: self.dial,
            instance: String::new(),
            ..v1::Hello::default()
        }
    }

    /// Says Hello and gives the first answer.
    pub(crate) async fn say(
        &self,
        stack: &Stack,
        hello: v1::Hello,
    ) -> (Session, Result<Option<Down>, Status>) {
        let (up, rx) = mpsc::channel(64);
        let message = Some(Up::Hello(hello));
        up.send(v1::SessionUp { message }).await.unwrap();
        let mut client = AgentServiceClient::new(stack.channel().await);
        let mut down = client
            .session(ReceiverStream::new(rx))
            .await
            .unwrap()
            .into_inner();
        let first = soon("the answer to Hello", down.message()).await;
        let id = String::new();
        let first = first.map(|down| down.and_then(|down| down.message));
        (Session { id, up, down }, first)
    }

    /// A session with an inventory, welcomed, with credits.
    pub(crate) async fn connect(
        &mut self,
        stack: &Stack,
        inventory: Vec<v1::InventoryItem>,
        credits: u64,
    ) -> Session {
        self.dial += 1;
        let (mut session, first) = self.say(stack, self.hello(inventory)).await;
        match first {
            Ok(Some(Down::Welcome(welcome))) => session.id = welcome.session_id,
            other => panic!("no welcome: {other:?}"),
        }
        session.credits(credits).await;
        session
    }

    pub(crate) async fn heartbeat(&self, stack: &Stack, tokens: &[&str]) -> Vec<String> {
        let request = v1::HeartbeatRequest {
            agent_id: self.id.to_string(),
            tokens: tokens.iter().map(ToString::to_string).collect(),
            stats: Some(v1::AgentStats {
                running: 1,
                sessions: self.dial,
                spool_bytes: 4_096,
                ..v1::AgentStats::default()
            }),
            instance: String::new(),
        };
        let mut client: AgentServiceClient<Channel> = AgentServiceClient::new(stack.channel().await);
        client.heartbeat(request).await.unwrap().into_inner().stop
    }
}

impl Session {
    pub(crate) async fn credits(&self, total: u64) {
        let message = Some(Up::Credits(v1::Credits { total }));
        self.up.send(v1::SessionUp { message }).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Down>, Status> {
        let down = soon("a message", self.down.message()).await?;
        Ok(down.and_then(|down| down.message))
    }

    pub(crate) async fn offer(&mut self) -> v1::Offer {
        match self.next().await {
            Ok(Some(Down::Offer(offer))) => {
                assert_eq!(offer.session_id, self.id);
                offer
            }
            other => panic!("no offer: {other:?}"),
        }
    }

    /// Nothing comes within the time.
    pub(crate) async fn silent(&mut self, ms: u64) {
        let wait = std::time::Duration::from_millis(ms);
        if let Ok(message) = tokio::time::timeout(wait, self.down.message()).await {
            panic!("not silent: {message:?}");
        }
    }

    pub(crate) async fn ack(&mut self, token: &str) {
        match self.next().await {
            Ok(Some(Down::Ack(ack))) => assert_eq!(ack.token, token),
            other => panic!("no ack: {other:?}"),
        }
    }

    pub(crate) async fn stop(&mut self, token: &str) {
        match self.next().await {
            Ok(Some(Down::Stop(stop))) => assert_eq!(stop.token, token),
            other => panic!("no stop: {other:?}"),
        }
    }

    /// The status that it ends with.
    pub(crate) async fn end(mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("ended"),
                Err(status) => return status,
            }
        }
    }

    pub(crate) async fn report(&self, offer: &v1::Offer, body: Body) {
        self.report_as(offer.attempt.clone(), &offer.token, body).await;
    }

    pub(crate) async fn report_as(&self, attempt: Option<v1::AttemptRef>, token: &str, body: Body) {
        let report = v1::Report {
            attempt,
            token: token.to_owned(),
            body: Some(body),
        };
        let message = Some(Up::Report(report));
        self.up.send(v1::SessionUp { message }).await.unwrap();
    }
}

pub(crate) fn accepted() -> Body {
    Body::Accepted(v1::AcceptedReport {})
}

pub(crate) fn started() -> Body {
    Body::Started(v1::StartedReport { started_at_ms: 1 })
}

pub(crate) fn declined(reason: v1::DeclineReason) -> Body {
    Body::Declined(v1::DeclinedReport {
        reason: reason.into(),
    })
}

pub(crate) fn finished(verdict: Verdict) -> Body {
    finished_with(verdict, Vec::new())
}

pub(crate) fn finished_with(verdict: Verdict, artifacts: Vec<types::Artifact>) -> Body {
    let report = AttemptReport {
        verdict,
        outputs: Object::new(),
        artifacts,
        exit: None,
        usage: Usage::default(),
        finished_at: Timestamp::from_unix_ms(2_000),
        runtime: None,
        image_digest: None,
        services: Vec::new(),
    };
    Body::Finished(v1::FinishedReport {
        report_json: serde_json::to_string(&report).unwrap(),
    })
}

pub(crate) fn succeeded() -> Body {
    finished(Verdict::Succeeded)
}

pub(crate) fn failed() -> Body {
    finished(Verdict::Failed {
        failure: Failure::new(FailureKind::Exit, "exit 1"),
    })
}

pub(crate) fn item(offer: &v1::Offer, phase: v1::AttemptPhase) -> v1::InventoryItem {
    v1::InventoryItem {
        attempt: offer.attempt.clone(),
        token: offer.token.clone(),
        phase: phase.into(),
    }
}
