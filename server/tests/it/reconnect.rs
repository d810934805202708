//! Sessions that end, come again, and are superseded; leases that end.

use std::time::Duration;

use proto::v1::{AttemptPhase, Outcome, session_down::Message as Down};
use tonic::Code;

use crate::{
    agent::{Agent, accepted, item, started, succeeded},
    stack::{ONE, Stack, TWO, count},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_adopted() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, accepted()).await;
    drop(session);
    let mut session = agent
        .connect(&stack, vec![item(&offer, AttemptPhase::Running)], 3)
        .await;
    assert_eq!(stack.attempt(&run).await.state, "running");
    session.silent(200).await;
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);
    assert_eq!(count(&stack.history(&run).await, "attempt.offered"), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_taken_is_offered_again_and_what_was_forgotten_is_in_doubt() {
    let stack = Stack::start().await;
    let taken = stack.start_run(ONE).await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 2).await;
    let first = session.offer().await;
    session.report(&first, accepted()).await;
    stack
        .until(&taken, "accepted", |run| {
            run.steps[0].attempts[0].state == "accepted"
        })
        .await;
    let open = stack.start_run(ONE).await;
    let second = session.offer().await;
    drop(session);

    let mut session = agent.connect(&stack, Vec::new(), 2).await;
    // Should it still run there after all, it is not wanted.
    session.stop(&first.token).await;
    let again = session.offer().await;
    assert_eq!(again.attempt, second.attempt);
    assert_ne!(again.token, second.token);
    session.report(&again, succeeded()).await;
    session.ack(&again.token).await;
    assert_eq!(stack.outcome(&open).await, Outcome::Succeeded);
    // `if-lost: fail` is the default of scripts.
    assert_eq!(stack.outcome(&taken).await, Outcome::Failed);
    assert_eq!(count(&stack.history(&taken).await, "attempt.lost"), 1);
    // Late: kept as such.
    session.report(&first, succeeded()).await;
    session.ack(&first.token).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_stopped_and_tombstones_let_go_however_many() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    stack.outcome(&run).await;
    drop(session);

    let token = |n: u32| {
        let mut entropy = [3; 10];
        entropy[..4].copy_from_slice(&n.to_be_bytes());
        types::LeaseToken::new(types::Timestamp::from_unix_ms(1), entropy).to_string()
    };
    let mut inventory = vec![item(&offer, AttemptPhase::Running)];
    inventory.extend((0..5_000).map(|n| {
        let mut tombstone = item(&offer, AttemptPhase::Done);
        tombstone.token = token(n);
        tombstone
    }));
    let mut session = agent.connect(&stack, inventory, 0).await;
    let (mut stops, mut forgets) = (0, 0);
    for _ in 0..5_001 {
        match session.next().await {
            Ok(Some(Down::Stop(stop))) if stop.token == offer.token => stops += 1,
            Ok(Some(Down::Forget(_))) => forgets += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((stops, forgets), (1, 5_000));
    session.silent(100).await;
    assert_eq!(stack.agents().await[0].state, "connected");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_session_supersedes_and_a_stale_dial_is_refused() {
    let stack = Stack::start().await;
    let run = stack.start_run(TWO).await;
    let mut agent = Agent::new(1);
    let mut old = agent.connect(&stack, Vec::new(), 1).await;
    let offer = old.offer().await;
    old.report(&offer, started()).await;
    stack
        .until(&run, "the start", |run| {
            run.steps[0].attempts[0].state == "running"
        })
        .await;
    let mut new = agent
        .connect(&stack, vec![item(&offer, AttemptPhase::Running)], 9)
        .await;
    assert_eq!(old.end().await.code(), Code::Aborted);
    // The end of the older is not that of the newer.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stack.agents().await[0].state, "connected");

    for dial in [0, 1, agent.dial] {
        let hello = proto::v1::Hello {
            dial,
            ..agent.hello(Vec::new())
        };
        let (_, first) = agent.say(&stack, hello).await;
        match first {
            Ok(Some(Down::StaleDial(stale))) => assert_eq!(stale.last, agent.dial),
            other => panic!("{other:?}"),
        }
    }
    // Its inventory was not believed: the step still runs.
    assert_eq!(stack.attempt(&run).await.state, "running");
    new.report(&offer, succeeded()).await;
    new.ack(&offer.token).await;
    let second = new.offer().await;
    new.report(&second, succeeded()).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_protocol_and_a_missing_hello_are_said() {
    let stack = Stack::start().await;
    let mut agent = Agent::new(1);
    agent.dial = 1;
    let hello = proto::v1::Hello {
        protocol: 2,
        ..agent.hello(Vec::new())
    };
    let status = agent.say(&stack, hello).await.1.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("protocol 2"), "{status}");
    let hello = proto::v1::Hello {
        agent_id: "nobody".to_owned(),
        ..agent.hello(Vec::new())
    };
    let status = agent.say(&stack, hello).await.1.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_not_renewed_ends_and_one_that_is_goes_on() {
    let source = "
name: short
steps:
  only:
    image: host
    run: echo hello
    disconnect: 1s
    if-lost: { ask: 1h }
";
    let stack = Stack::start().await;
    let (lost, kept) = (stack.start_run(source).await, stack.start_run(source).await);
    let again = stack.start_run(source).await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 3).await;
    let mut offers = vec![
        session.offer().await,
        session.offer().await,
        session.offer().await,
    ];
    let order = [&lost, &kept, &again];
    offers.sort_by_key(|offer| {
        order
            .iter()
            .position(|run| **run == offer.attempt.as_ref().unwrap().run_id)
    });
    for offer in &offers {
        session.report(offer, started()).await;
    }
    assert_eq!(offers[0].attempt.as_ref().unwrap().run_id, lost);
    // A pause of this machine begins all leases anew.
    for _ in 0..60 {
        assert!(agent.heartbeat(&stack, &[&offers[1].token]).await.is_empty());
        tokio::time::sleep(Duration::from_secs(1)).await;
        if stack.attempt(&lost).await.state == "in_doubt" {
            break;
        }
    }
    let doubt = format!(
        "may have run, and nobody knows how it ended; decide with `firehall resolve {lost} only --as \
         rerun|succeeded|failed`"
    );
    let in_doubt = stack.attempt(&lost).await;
    assert_eq!((in_doubt.state.as_str(), &in_doubt.message), ("in_doubt", &doubt));
    assert_eq!(stack.run(&lost).await.steps[0].reasons, [doubt]);
    assert_eq!(stack.attempt(&kept).await.state, "running");
    // In doubt is not unwanted; a token that nobody knows is.
    let unknown = types::LeaseToken::new(types::Timestamp::from_unix_ms(1), [9; 10]).to_string();
    let stop = agent.heartbeat(&stack, &[&offers[0].token, &unknown]).await;
    assert_eq!(stop, [unknown]);

    let mut client = stack.runs().await;
    let resolve = |run: &str, verdict: &str| proto::v1::ResolveRequest {
        run_id: run.to_owned(),
        step: "only".to_owned(),
        index: None,
        verdict: verdict.to_owned(),
    };
    let status = client.resolve(resolve(&kept, "failed")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let status = client.resolve(resolve(&lost, "perhaps")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    client.resolve(resolve(&lost, "succeeded")).await.unwrap();
    assert_eq!(stack.outcome(&lost).await, Outcome::Succeeded);
    let decided = "lost: may have run; decided: succeeded";
    assert_eq!(stack.attempt(&lost).await.message, decided);
    assert!(stack.run(&lost).await.steps[0].reasons.is_empty());
    session.stop(&offers[0].token).await;
    client.resolve(resolve(&again, "rerun")).await.unwrap();
    let first = stack.attempt(&again).await;
    assert_eq!(
        (first.state.as_str(), first.message.as_str()),
        ("failed", "lost: may have run; decided: rerun")
    );
    assert!(stack.run(&again).await.steps[0].reasons.is_empty());
    assert_eq!(
        agent.heartbeat(&stack, &[&offers[0].token]).await,
        [offers[0].token.clone()]
    );
    stack.stop().await;
}
