//! A store that fails: nothing is lost, nothing is doubled.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use proto::v1::{AttemptPhase, Outcome};
use tonic::Code;

use crate::{
    agent::{Agent, item, started, succeeded},
    stack::{ONE, Stack, TWO, count, soon},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_could_not_be_stored_is_not_acknowledged_and_comes_again() {
    let stack = Stack::start().await;
    let run = stack.start_run(TWO).await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    stack
        .until(&run, "the start", |run| {
            run.steps[0].attempts[0].state == "running"
        })
        .await;
    // The write fails, and so do the reads after it: what was decided in memory must not be taken for stored.
    stack.store.refuse.store(1, SeqCst);
    stack.store.unreadable.store(2, SeqCst);
    session.report(&offer, succeeded()).await;
    assert_eq!(session.end().await.code(), Code::Unavailable);
    let mut session = loop {
        agent.dial += 1;
        let (session, first) = agent
            .say(&stack, agent.hello(vec![item(&offer, AttemptPhase::Finished)]))
            .await;
        match first {
            Ok(_) => break session,
            Err(status) => assert_eq!(status.code(), Code::Unavailable),
        }
    };
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    let run_now = stack.run(&run).await;
    assert_eq!(run_now.steps[0].state, "succeeded");
    session.credits(1).await;
    while !matches!(
        session.next().await,
        Ok(Some(proto::v1::session_down::Message::Offer(_)))
    ) {}
    assert_eq!(count(&history(&stack, &run).await, "attempt.finished"), 1);
    stack.stop().await;
}

/// The kinds so far; the run is live.
async fn history(stack: &Stack, run: &str) -> Vec<String> {
    let seq = stack.run(run).await.seq;
    let mut stream = stack.watch(run, 0).await;
    let mut kinds = Vec::new();
    loop {
        let event = soon("an event", stream.message()).await.unwrap().unwrap();
        kinds.push(event.kind);
        if event.seq >= seq {
            return kinds;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_was_stored_without_an_answer_still_reaches_its_agent() {
    let stack = Stack::start().await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 0).await;
    let run = stack.start_run(ONE).await;
    stack.store.forget_to_say.store(1, SeqCst);
    session.credits(1).await;
    let offer = session.offer().await;
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);
    assert_eq!(count(&stack.history(&run).await, "attempt.offered"), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_start_was_stored_without_an_answer_is_taken_up() {
    let stack = Stack::start().await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 0).await;
    stack.store.forget_to_say.store(1, SeqCst);
    let request = proto::v1::StartRunRequest {
        what: Some(proto::v1::start_run_request::What::Source(ONE.to_owned())),
        idempotency_key: "k".to_owned(),
        ..proto::v1::StartRunRequest::default()
    };
    let mut client = stack.runs().await;
    assert_eq!(
        client.start(request.clone()).await.unwrap_err().code(),
        Code::Unavailable
    );
    let run = client.start(request).await.unwrap().into_inner().run_id;
    session.credits(1).await;
    let offer = session.offer().await;
    assert_eq!(offer.attempt.as_ref().unwrap().run_id, run);
    let store = stack.stop().await;
    assert_eq!(Arc::strong_count(&store), 1, "the server let go of its store");
}
