//! Deadlines: each changes something when it comes.

use types::{FailureKind, IfLost, RunOutcome as R, StepOutcome as S};

use super::bench::{Bench, Shape, T0, failed, step, succeeded};
use crate::ReportBody;

#[test]
fn nobody_picks_it_up() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(3, 10);
        s.pickup_ms = 3_000;
    })]);
    assert_eq!(bench.until_deadline(), T0.plus(3_000));
    assert_eq!(bench.outcome("a"), Some(S::Failed));
    let why = &bench.reasons("a")[0];
    assert!(
        why.starts_with("not placed in 3000 ms: no agent has ever connected"),
        "{why}"
    );
    assert_eq!(bench.ended(), Some(R::Failed));
}

#[test]
fn declines_do_not_renew_the_wait() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    for _ in 0..4 {
        let token = bench.offer("a");
        bench.pass(1_000);
        bench.report("a", &token, ReportBody::Declined);
    }
    assert_eq!(bench.next_deadline(), Some(T0.plus(5_000)));
    bench.until_deadline();
    assert_eq!(bench.ended(), Some(R::Failed));
}

#[test]
fn what_an_agent_had_in_hand_is_no_waiting() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    bench.pass(1_000);
    let token = bench.offer("a");
    bench.report("a", &token, ReportBody::Accepted);
    bench.pass(60_000);
    bench.report("a", &token, ReportBody::Released { crashes: 0 });
    assert_eq!(bench.next_deadline(), Some(bench.now.plus(4_000)));
}

#[test]
fn an_attempt_does_not_go_round_for_ever() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let mut rounds = 0;
    while bench.ended().is_none() && rounds < 1_000 {
        let token = bench.offer("a");
        bench.report("a", &token, ReportBody::Declined);
        rounds += 1;
    }
    assert_eq!(rounds, 100);
    assert!(bench.reasons("a")[0].contains("gave it back 100 times"));
}

#[test]
fn an_agent_that_never_reports_an_end() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    bench.begin("a");
    // timeout 60 s, grace 1 s, lease 30 s, margin 10 s
    assert_eq!(bench.until_deadline(), T0.plus(101_000));
    assert_eq!(bench.outcome("a"), Some(S::Failed));
}

#[test]
fn an_agent_that_never_starts_it() {
    for accepted in [false, true] {
        let mut bench = Bench::new(vec![step("a", |s| s.if_lost = IfLost::Rerun)]);
        let token = bench.offer("a");
        if accepted {
            bench.report("a", &token, ReportBody::Accepted);
        }
        assert_eq!(bench.until_deadline(), T0.plus(106_000));
        assert_eq!(bench.queued(), ["a#2"]);
    }
}

#[test]
fn what_the_server_was_not_there_to_hear_is_waited_for() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let token = bench.begin("a");
    bench.pass(500_000);
    bench.heard_since = bench.now;
    assert!(bench.tick().events.is_empty());
    // lease 30 s, margin 10 s
    assert_eq!(bench.next_deadline(), Some(bench.now.plus(40_000)));
    bench.report("a", &token, succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn agents_have_time_to_come_back_before_nobody_took_it() {
    for (pickup_ms, wait) in [(3_000, 3_000), (300_000, 30_000)] {
        let mut bench = Bench::new(vec![step("a", |s| s.pickup_ms = pickup_ms)]);
        bench.pass(500_000);
        bench.heard_since = bench.now;
        assert!(bench.tick().events.is_empty());
        assert_eq!(bench.next_deadline(), Some(bench.now.plus(wait)));
        bench.until_deadline();
        assert_eq!(bench.outcome("a"), Some(S::Failed));
    }
}

#[test]
fn a_doubt_is_not_over_before_its_agent_could_settle_it() {
    let mut bench = Bench::new(vec![step("a", |s| s.if_lost = IfLost::Ask)]);
    let token = bench.begin("a");
    bench.report("a", &token, ReportBody::Lost);
    bench.pass(100 * 24 * 3_600_000);
    bench.heard_since = bench.now;
    assert!(bench.tick().events.is_empty());
    assert_eq!(bench.next_deadline(), Some(bench.now.plus(30_000)));
    bench.report("a", &token, succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn durations_without_end_do_not_wrap() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.timeout_ms = u64::MAX;
        s.disconnect_ms = u64::MAX;
        s.grace_ms = u64::MAX;
    })]);
    bench.begin("a");
    assert!(bench.next_deadline().unwrap() > T0);
    bench.cancel();
    assert!(bench.tick().events.is_empty());
}

#[test]
fn several_deadlines_at_once() {
    let mut bench = Bench::new(vec![
        step("a", |s| {
            s.tries_again(1, 5_000);
        }),
        step("b", |_| {}),
        step("c", |s| {
            s.each("[1, 2]", None);
        }),
    ]);
    bench.does("a", failed(FailureKind::Exit));
    bench.pass(3_600_000);
    bench.tick();
    assert_eq!(bench.queued(), ["a#2"]);
    assert_eq!(bench.outcome("b"), Some(S::Failed));
    assert_eq!(bench.outcome("c"), Some(S::Failed));
    bench.does("a#2", succeeded());
    assert_eq!(bench.next_deadline(), None);
}

#[test]
fn a_clock_that_goes_back_breaks_nothing() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(1, 10);
    })]);
    let token = bench.begin("a");
    bench.now = types::Timestamp::from_unix_ms(T0.unix_ms() - 50_000);
    bench.report("a", &token, failed(FailureKind::Exit));
    assert_eq!(bench.run.elapsed(bench.now), 0);
    bench.until_deadline();
    bench.does("a#2", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}
