//! A cancel in each phase of a step.

use protocol::{Resolution, server::Send};
use types::{FailureKind, IfLost, RunOutcome as R, StepOutcome as S};

use super::bench::{Bench, Shape, failed, step, stopped, succeeded};
use crate::{Command, Phase, Rejected, ReportBody};

fn two() -> Bench {
    Bench::new(vec![
        step("a", |s| {
            s.tries_again(3, 1_000);
        }),
        step("b", |s| {
            s.need(&["a"]);
        }),
    ])
}

#[test]
fn queued_and_waiting() {
    let mut bench = two();
    bench.cancel();
    assert_eq!(bench.outcome("a"), Some(S::Cancelled));
    assert_eq!(bench.outcome("b"), Some(S::NotRun));
    assert_eq!(bench.ended(), Some(R::Cancelled));
    let reasons = &bench.run.ended.as_ref().unwrap().reasons;
    assert_eq!(reasons[0].message, "cancelled by ann: drill");
    let again = bench.tell(Command::Cancel {
        by: "bob".to_owned(),
        reason: String::new(),
    });
    assert_eq!(again, Err(Rejected::Ended));
}

#[test]
fn offered_and_declined() {
    let mut bench = two();
    let token = bench.offer("a");
    bench.cancel();
    assert_eq!(bench.ended(), None, "it may be started: its agent is asked");
    bench.report("a", &token, ReportBody::Declined);
    assert_eq!(bench.outcome("a"), Some(S::Cancelled));
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn accepted_and_released() {
    let mut bench = two();
    let token = bench.offer("a");
    bench.report("a", &token, ReportBody::Accepted);
    bench.cancel();
    bench.report("a", &token, ReportBody::Released { crashes: 0 });
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn started_and_stopped() {
    for (confirmed, reasons) in [(true, &[][..]), (false, &["kill unconfirmed".to_owned()][..])] {
        let mut bench = two();
        let token = bench.begin("a");
        let told = bench.tell(Command::Cancel {
            by: "ann".to_owned(),
            reason: String::new(),
        });
        assert!(matches!(told.unwrap().sends[0].send, Send::Stop(_)));
        let again = bench.tell(Command::Cancel {
            by: "bob".to_owned(),
            reason: String::new(),
        });
        assert!(again.unwrap().events.is_empty(), "once is enough");
        bench.report("a", &token, stopped(confirmed));
        assert_eq!(bench.outcome("a"), Some(S::Cancelled));
        assert_eq!(bench.reasons("a"), reasons);
        assert_eq!(bench.ended(), Some(R::Cancelled));
    }
}

#[test]
fn a_success_before_the_stop_stays_one_and_the_run_is_cancelled() {
    let mut bench = two();
    let token = bench.begin("a");
    bench.cancel();
    bench.report("a", &token, succeeded());
    assert_eq!(bench.outcome("a"), Some(S::Succeeded));
    assert_eq!(bench.outcome("b"), Some(S::NotRun));
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn a_failure_after_the_stop_is_not_tried_again() {
    let mut bench = two();
    let token = bench.begin("a");
    bench.cancel();
    bench.report("a", &token, failed(FailureKind::Exit));
    assert_eq!(bench.outcome("a"), Some(S::Failed));
    assert_eq!(bench.ended(), Some(R::Failed), "failed is worse than cancelled");
}

#[test]
fn the_wait_for_a_retry() {
    let mut bench = two();
    bench.does("a", failed(FailureKind::Exit));
    bench.cancel();
    assert_eq!(bench.outcome("a"), Some(S::Cancelled));
    assert_eq!(bench.ended(), Some(R::Cancelled));
    assert_eq!(bench.next_deadline(), None);
}

#[test]
fn in_doubt() {
    let mut bench = Bench::new(vec![step("a", |s| s.if_lost = IfLost::Ask)]);
    let token = bench.begin("a");
    bench.lose("a", &token);
    bench.cancel();
    assert_eq!(bench.outcome("a"), Some(S::Cancelled));
    assert!(bench.reasons("a")[0].starts_with("kill unconfirmed"));
    assert!(bench.resolve("a", Resolution::Succeeded).is_err());
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn lost_after_the_stop() {
    for if_lost in [IfLost::Fail, IfLost::Rerun, IfLost::Ask] {
        let mut bench = Bench::new(vec![step("a", |s| s.if_lost = if_lost)]);
        let token = bench.begin("a");
        bench.cancel();
        bench.lose("a", &token);
        assert_eq!(bench.outcome("a"), Some(S::Cancelled), "{if_lost:?}");
        assert!(bench.reasons("a")[0].starts_with("kill unconfirmed"));
        assert_eq!(bench.ended(), Some(R::Cancelled));
        assert!(
            bench
                .run
                .ended
                .as_ref()
                .unwrap()
                .reasons
                .iter()
                .any(|r| r.message.contains("kill unconfirmed"))
        );
    }
}

#[test]
fn an_agent_that_never_confirms_is_waited_for_within_bounds() {
    let mut bench = Bench::new(vec![step("a", |s| s.timeout_ms = 86_400_000)]);
    bench.begin("a");
    bench.pass(7);
    bench.cancel();
    // grace 1 s, lease 30 s, margin 10 s
    assert_eq!(bench.until_deadline(), super::bench::T0.plus(7 + 41_000));
    assert_eq!(bench.ended(), Some(R::Cancelled));
    assert!(bench.reasons("a")[0].starts_with("kill unconfirmed"));
}

#[test]
fn a_fan_out() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.each("[1, 2, 3, 4]", Some(2));
    })]);
    bench.does("a[0]", succeeded());
    let token = bench.begin("a[1]");
    assert_eq!(bench.queued(), ["a[2]#1"]);
    bench.cancel();
    assert_eq!(bench.ended(), None);
    bench.report("a[1]", &token, stopped(true));
    assert_eq!(bench.outcome("a"), Some(S::Cancelled));
    let items = &bench.run.step("a").unwrap().1.items;
    let ends: Vec<S> = items.iter().map(|i| i.ended.as_ref().unwrap().outcome).collect();
    assert_eq!(ends, [S::Succeeded, S::Cancelled, S::Cancelled, S::Cancelled]);
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn what_tidies_up_still_runs() {
    let mut bench = Bench::new(vec![
        step("a", |_| {}),
        step("always", |s| {
            s.need(&["a"]).when("always()").tries_again(1, 10);
        }),
        step("cancelled", |s| {
            s.need(&["a"]).when("cancelled()");
        }),
        step("mixed", |s| {
            s.need(&["a"]).when("failed() || cancelled()");
        }),
        step("succeeded", |s| {
            s.need(&["a"]).when("succeeded()");
        }),
        step("failed", |s| {
            s.need(&["a"]).when("failed()");
        }),
        step("not_failed", |s| {
            s.need(&["a"]).when("!failed()");
        }),
        step("not_cancelled", |s| {
            s.need(&["a"]).when("!cancelled()");
        }),
        step("text", |s| {
            s.need(&["a"]).when("succeeded() || 'always()' == \"always()\"");
        }),
        step("behind", |s| {
            s.need(&["always"]);
        }),
    ]);
    let token = bench.begin("a");
    bench.cancel();
    bench.report("a", &token, succeeded());
    for key in ["succeeded", "failed", "not_failed", "text", "behind"] {
        assert_eq!(bench.outcome(key), Some(S::NotRun), "{key}");
    }
    assert_eq!(bench.outcome("not_cancelled"), Some(S::Skipped));
    assert_eq!(bench.queued(), ["always#1", "cancelled#1", "mixed#1"]);
    bench.does("always", failed(FailureKind::Exit));
    bench.does("cancelled", succeeded());
    bench.does("mixed", succeeded());
    bench.until_deadline();
    bench.does("always#2", succeeded());
    assert_eq!(bench.ended(), Some(R::Cancelled), "it never makes a success");
}

#[test]
fn what_tidies_up_when_the_cancel_comes_goes_on() {
    let mut bench = Bench::new(vec![
        step("always", |s| {
            s.when("always()").tries_again(1, 10);
        }),
        step("succeeded", |s| {
            s.when("succeeded()");
        }),
        step("not_cancelled", |s| {
            s.when("!cancelled()");
        }),
    ]);
    let token = bench.begin("always");
    let other = bench.begin("succeeded");
    let third = bench.begin("not_cancelled");
    bench.cancel();
    assert!(!bench.run.step("always").unwrap().1.stopping);
    assert_eq!(bench.count("attempt.stopping"), 2);
    bench.report("succeeded", &other, stopped(true));
    bench.report("not_cancelled", &third, stopped(true));
    bench.report("always", &token, failed(FailureKind::Exit));
    assert_eq!(
        bench.run.step("always").unwrap().1.phase,
        Phase::Active,
        "its retries too"
    );
    bench.until_deadline();
    bench.does("always#2", succeeded());
    assert_eq!(bench.outcome("always"), Some(S::Succeeded));
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn what_tidies_up_and_is_lost_has_failed() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.when("always()");
    })]);
    let token = bench.begin("a");
    bench.cancel();
    bench.lose("a", &token);
    assert_eq!(bench.outcome("a"), Some(S::Failed), "nobody asked it to stop");
    assert_eq!(bench.reasons("a"), ["lost: may have run"]);
}

#[test]
fn a_follower() {
    let mut bench = Bench::new(vec![
        step("checks", |s| {
            s.each("[1, 2]", None);
        }),
        step("post", |s| {
            s.follow(&["checks"], 10_000);
        }),
    ]);
    bench.does("checks[0]", succeeded());
    bench.cancel();
    assert_eq!(
        bench.outcome("post"),
        Some(S::Cancelled),
        "what landed was not taken"
    );
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn a_person_cannot_hurry_a_run_past_its_tidying() {
    let mut bench = Bench::new(vec![
        step("a", |_| {}),
        step("z", |s| {
            s.need(&["a"]).when("always()");
        }),
    ]);
    bench.cancel();
    assert_eq!(bench.ended(), None);
    assert_eq!(bench.queued(), ["z#1"]);
    assert!(
        bench.until_deadline() > super::bench::T0,
        "it fails as not placed in the end"
    );
    assert_eq!(bench.ended(), Some(R::Failed));
}
