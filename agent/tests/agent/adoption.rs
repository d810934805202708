//! Either side dies in the middle: one start, the real result, no byte missing.

use std::time::Duration;

use proto::v1::{self, LogStream, report::Body};
use types::{FailureKind, LeaseToken, Verdict};

use super::{
    fake::{Fake, token},
    process::{Agent, Witness, swept},
    secrets::gate,
    work::script,
};

/// Writes numbered lines, says so to the witness before and after, and exits with 7.
fn talker(witness: &Witness, lines: u32) -> types::Work {
    let (start, end) = (witness.say("start"), witness.say("end"));
    script(&format!(
        "{start}for i in $(seq {lines}); do echo line $i; sleep 0.01; done\n{end}exit 7"
    ))
}

/// The same, which waits at a gate before its second half.
fn held_talker(witness: &Witness, lines: u32, gate: u16) -> types::Work {
    let (start, end) = (witness.say("start"), witness.say("end"));
    let waits = format!("exec 3<>/dev/tcp/127.0.0.1/{gate}; read -r go <&3");
    let half = lines / 2;
    script(&format!(
        "{start}for i in $(seq {lines}); do echo line $i; sleep 0.01; [ $i != {half} ] || {{ {waits}; }}; done\n{end}exit 7"
    ))
}

fn expected(lines: u32) -> String {
    (1..=lines).map(|i| format!("line {i}\n")).collect()
}

async fn judge(fake: &Fake, witness: &Witness, token: &LeaseToken, lines: u32) {
    let report = fake.finished(token).await;
    let Verdict::Failed { failure } = report.verdict else {
        panic!("{:?}", report.verdict)
    };
    assert_eq!((failure.kind, failure.exit_code), (FailureKind::Exit, Some(7)));
    let held = fake.log(token, LogStream::Stdout).await;
    assert_eq!(
        (String::from_utf8(held.bytes).unwrap(), held.lost),
        (expected(lines), 0)
    );
    assert_eq!(witness.heard(), ["start", "end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_in_the_middle_comes_back_to_its_step() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    let go = tmp.path().join("go");
    let work = held_talker(&witness, 150, gate(&go));
    fake.offer(&token, &work).await;
    fake.started(&token).await;
    fake.until("some log", |s| {
        (s.log(&token, LogStream::Stdout).bytes.len() > 100).then_some(())
    })
    .await;
    agent.kill();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let hello = fake.until("second Hello", |s| s.hellos.get(1).cloned()).await;
    let first = fake.state.lock().unwrap().hellos[0].clone();
    assert_eq!(hello.agent_id, first.agent_id);
    assert!(hello.dial > first.dial);
    assert_eq!(hello.inventory.len(), 1);
    assert_eq!(
        (hello.inventory[0].token.as_str(), hello.inventory[0].phase()),
        (token.as_str(), v1::AttemptPhase::Running)
    );
    std::fs::write(&go, "").unwrap();
    judge(&fake, &witness, &token, 150).await;
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ends_while_its_agent_is_away_is_reported_by_the_next() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    fake.offer(&token, &talker(&witness, 20)).await;
    fake.started(&token).await;
    agent.kill();
    witness.until("end").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    judge(&fake, &witness, &token, 20).await;
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_was_not_acknowledged_is_said_again_until_it_is() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    fake.state.lock().unwrap().acks = false;
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    fake.offer(&token, &talker(&witness, 3)).await;
    let first = fake.finished(&token).await;
    agent.kill();
    fake.state.lock().unwrap().reports.clear();
    let agent = Agent::spawn(&fake.url(), tmp.path());
    assert_eq!(fake.finished(&token).await, first);
    fake.state.lock().unwrap().reports.clear();
    fake.state.lock().unwrap().acks = true;
    // A new session says it once more; then it is acknowledged, and only a tombstone is left.
    agent.kill();
    let agent = Agent::spawn(&fake.url(), tmp.path());
    assert_eq!(fake.finished(&token).await, first);
    judge(&fake, &witness, &token, 3).await;
    swept(tmp.path()).await;
    let sessions = fake.state.lock().unwrap().hellos.len();
    agent.kill();
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let hello = fake
        .until("another Hello", |s| s.hellos.get(sessions).cloned())
        .await;
    let phases: Vec<_> = hello.inventory.iter().map(v1::InventoryItem::phase).collect();
    assert_eq!(phases, [v1::AttemptPhase::Done]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_a_while_finds_all_when_it_is_back() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    fake.offer(&token, &talker(&witness, 100)).await;
    fake.until("some log", |s| {
        (!s.log(&token, LogStream::Stdout).bytes.is_empty()).then_some(())
    })
    .await;
    let rest = fake.die().await;
    witness.until("end").await;
    let fake = Fake::back(rest).await;
    judge(&fake, &witness, &token, 100).await;
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_ends_the_step_also_while_the_agent_is_away() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let mut work = script(&format!("{}sleep 100", witness.say("start")));
    (work.timeout_ms, work.disconnect_ms) = (200_000, 2_500);
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let (one, two) = (token(), token());
    fake.offer(&one, &work).await;
    fake.started(&one).await;
    // Heartbeats keep it alive beyond its lease's length.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(fake.state.lock().unwrap().finished(&one).is_none());
    fake.state.lock().unwrap().silent = true;
    let is_lease = |verdict: &Verdict| matches!(verdict, Verdict::Failed { failure } if failure.kind == FailureKind::Lost);
    assert!(is_lease(&fake.finished(&one).await.verdict));
    let heard = {
        let mut state = fake.state.lock().unwrap();
        state.silent = false;
        state.heartbeats.len()
    };
    // The second one is sent only after the first was answered: the lease of an offer begins there.
    fake.until("two heartbeats", |s| {
        (s.heartbeats.len() >= heard + 2).then_some(())
    })
    .await;
    fake.offer(&two, &work).await;
    fake.started(&two).await;
    agent.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    assert!(is_lease(&fake.finished(&two).await.verdict));
    assert_eq!(witness.heard(), ["start", "start"]);
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_asked_to_leave_leaves_its_steps_running() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    fake.offer(&token, &talker(&witness, 100)).await;
    fake.started(&token).await;
    assert_eq!(agent.end().await, Some(0));
    assert!(
        !fake
            .state
            .lock()
            .unwrap()
            .bodies(&token)
            .iter()
            .any(|body| matches!(body, Body::Finished(_)))
    );
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    judge(&fake, &witness, &token, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_die_and_come_back() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let url = fake.url();
    let token = token();
    fake.offer(&token, &talker(&witness, 60)).await;
    fake.until("some log", |s| {
        (!s.log(&token, LogStream::Stdout).bytes.is_empty()).then_some(())
    })
    .await;
    let rest = fake.die().await;
    agent.kill();
    let _agent = Agent::spawn(&url, tmp.path());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let fake = Fake::back(rest).await;
    judge(&fake, &witness, &token, 60).await;
    swept(tmp.path()).await;
}

/// Killed at moments that the seed chooses: before, during and after starts, ends and acknowledgements.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_again_and_again_starts_everything_once() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let mut seed: u64 = std::process::id().into();
    println!("seed {seed}");
    let (start, end) = (
        witness.say("start-$FIREHALL_TOKEN"),
        witness.say("end-$FIREHALL_TOKEN"),
    );
    let work = script(&format!(
        "{start}for i in 1 2 3 4 5; do echo line $i; sleep 0.02; done\n{end}exit 7"
    ));
    let mut agent = Agent::spawn(&fake.url(), tmp.path());
    let mut taken = Vec::new();
    for _ in 0..12 {
        let token = token();
        fake.offer(&token, &work).await;
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis((seed >> 33) % 120)).await;
        agent.kill();
        let sessions = fake.state.lock().unwrap().hellos.len();
        agent = Agent::spawn(&fake.url(), tmp.path());
        let hello = fake
            .until("another Hello", |s| s.hellos.get(sessions).cloned())
            .await;
        // An offer that was never taken is not in the inventory; the server would make another.
        if hello.inventory.iter().any(|item| item.token == token.as_str()) {
            taken.push(token);
        } else {
            assert!(
                fake.state.lock().unwrap().bodies(&token).is_empty(),
                "it was told and is not on disk"
            );
        }
    }
    assert!(!taken.is_empty(), "no offer was ever taken");
    let mut expected = Vec::new();
    for token in &taken {
        let report = fake.finished(token).await;
        assert_eq!(
            report.exit.and_then(|exit| exit.code),
            Some(7),
            "{:?}",
            report.verdict
        );
        assert_eq!(
            fake.log(token, LogStream::Stdout).await.bytes,
            b"line 1\nline 2\nline 3\nline 4\nline 5\n"
        );
        expected.extend([format!("start-{token}"), format!("end-{token}")]);
    }
    swept(tmp.path()).await;
    let mut heard = witness.heard();
    heard.sort();
    expected.sort();
    assert_eq!(heard, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_slept_through_a_lease_ends_the_step_before_it_does_anything_else() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let mut work = script(&format!("{}sleep 100", witness.say("start")));
    (work.timeout_ms, work.disconnect_ms) = (200_000, 2_500);
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    fake.offer(&token, &work).await;
    fake.started(&token).await;
    agent.signal(nix::sys::signal::Signal::SIGSTOP);
    let late = super::fake::token();
    fake.offer(&late, &work).await;
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    agent.signal(nix::sys::signal::Signal::SIGCONT);
    let report = fake.finished(&token).await;
    assert!(matches!(&report.verdict, Verdict::Failed { failure } if failure.kind == FailureKind::Lost));
    // The second offer lay in the socket for longer than its lease: it may have been given to another meanwhile.
    fake.until("released", |s| {
        s.bodies(&late)
            .iter()
            .any(|body| matches!(body, Body::Released(_)))
            .then_some(())
    })
    .await;
    assert_eq!(witness.heard(), ["start"]);
}
