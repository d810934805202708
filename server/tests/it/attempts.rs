//! Offers, credits and reports.

use proto::v1::{self, DeclineReason, Outcome};
use types::Verdict;

use crate::{
    agent::{Agent, accepted, declined, failed, finished, started, succeeded},
    stack::{ONE, Stack, TWO, count},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_through_its_steps() {
    let stack = Stack::start().await;
    let run = stack.start_run(TWO).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 9).await;
    for step in ["first", "second"] {
        let offer = session.offer().await;
        assert_eq!(offer.attempt.as_ref().unwrap().step, step);
        session.report(&offer, started()).await;
        session.report(&offer, succeeded()).await;
        session.ack(&offer.token).await;
    }
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);
    let kinds = stack.history(&run).await;
    assert_eq!(count(&kinds, "attempt.finished"), 2);
    assert_eq!(kinds.last().unwrap(), "run.ended");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_offered_than_was_granted() {
    let stack = Stack::start().await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 0).await;
    for _ in 0..3 {
        stack.start_run(ONE).await;
    }
    session.silent(200).await;
    session.credits(1).await;
    let first = session.offer().await;
    session.silent(200).await;
    session.report(&first, succeeded()).await;
    session.ack(&first.token).await;
    session.silent(100).await;
    session.credits(3).await;
    session.offer().await;
    session.offer().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_agent_is_left_alone_until_it_grants_anew_and_the_other_one_takes_it() {
    let stack = Stack::start().await;
    let mut full = Agent::new(1);
    let mut session = full.connect(&stack, Vec::new(), 4).await;
    let run = stack.start_run(ONE).await;
    let offer = session.offer().await;
    session.report(&offer, declined(DeclineReason::NoSlot)).await;
    session.ack(&offer.token).await;
    session.silent(200).await;

    let mut other = Agent::new(2).connect(&stack, Vec::new(), 1).await;
    let again = other.offer().await;
    assert_ne!(again.token, offer.token);
    other.report(&again, succeeded()).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);

    // The decline is said again in the next session, as its acknowledgement might have been lost: that is no news.
    drop(session);
    let mut session = full.connect(&stack, Vec::new(), 4).await;
    session.report(&offer, declined(DeclineReason::NoSlot)).await;
    session.ack(&offer.token).await;
    stack.start_run(ONE).await;
    session.offer().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicate_late_and_foreign_reports_change_nothing_and_are_answered() {
    let stack = Stack::start().await;
    let run = stack.start_run(TWO).await;
    let (mut own, mut other) = (Agent::new(1), Agent::new(2));
    let mut session = own.connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;

    let mut stranger = other.connect(&stack, Vec::new(), 0).await;
    stranger.report(&offer, failed()).await;
    stranger.ack(&offer.token).await;
    stranger.report(&offer, started()).await;
    stranger.stop(&offer.token).await;
    assert_eq!(stack.attempt(&run).await.state, "offered");

    session.report(&offer, accepted()).await;
    session.report(&offer, started()).await;
    session.report(&offer, started()).await;
    for body in [succeeded(), succeeded(), failed()] {
        session.report(&offer, body).await;
        session.ack(&offer.token).await;
    }
    assert_eq!(stack.attempt(&run).await.state, "succeeded");
    session.credits(2).await;
    let second = session.offer().await;
    session.report(&second, succeeded()).await;
    session.ack(&second.token).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);
    // After the run's end too.
    session.report(&offer, failed()).await;
    session.ack(&offer.token).await;

    let unknown = types::RunId::new(types::Timestamp::from_unix_ms(1), [7; 10]);
    let attempt = v1::AttemptRef {
        run_id: unknown.to_string(),
        step: "only".to_owned(),
        index: None,
        attempt: 1,
    };
    session
        .report_as(Some(attempt.clone()), &offer.token, succeeded())
        .await;
    session.ack(&offer.token).await;
    session.report_as(Some(attempt), &offer.token, started()).await;
    session.stop(&offer.token).await;
    let kinds = stack.history(&run).await;
    assert_eq!(count(&kinds, "attempt.finished"), 2);
    assert_eq!(count(&kinds, "attempt.started"), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_makes_no_sense_does_not_end_the_session() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    let report_json = "{\"verdict\":\"splendid\"}".to_owned();
    let broken = v1::report::Body::Finished(v1::FinishedReport { report_json });
    session.report(&offer, broken).await;
    session.report_as(None, "nonsense", started()).await;
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_stops_what_runs_and_drops_what_waits() {
    let stack = Stack::start().await;
    let run = stack.start_run(TWO).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 4).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    stack
        .until(&run, "the start", |run| {
            run.steps[0].attempts[0].state == "running"
        })
        .await;
    let request = v1::CancelRunRequest {
        run_id: run.clone(),
        reason: "enough".to_owned(),
    };
    let mut client = stack.runs().await;
    assert!(
        client
            .cancel(request.clone())
            .await
            .unwrap()
            .into_inner()
            .accepted
    );
    session.stop(&offer.token).await;
    assert!(stack.run(&run).await.cancel_requested);
    session
        .report(&offer, finished(Verdict::Cancelled { confirmed: true }))
        .await;
    session.ack(&offer.token).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Cancelled);
    assert!(!client.cancel(request).await.unwrap().into_inner().accepted);
    stack.stop().await;
}
