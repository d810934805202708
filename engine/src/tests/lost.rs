//! Agents that are lost, and verdicts.

use protocol::{Held, Report, Resolution, server::Why};
use types::{FailureKind, IfLost, RunOutcome as R, StepOutcome as S};

use super::bench::{Bench, Shape, agent, at, failed, step, stopped, succeeded};
use crate::{Command, Context, Event, Rejected, ReportBody, decide, give_up};

fn asks() -> Bench {
    Bench::new(vec![
        step("a", |s| s.if_lost = IfLost::Ask),
        step("b", |s| {
            s.need(&["a"]);
        }),
    ])
}

#[test]
fn if_lost_fail_says_that_it_may_have_run() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(3, 10);
    })]);
    let token = bench.offer("a");
    bench.lose("a", &token);
    assert_eq!(bench.outcome("a"), Some(S::Failed), "no retry: it may have run");
    assert_eq!(bench.reasons("a"), ["lost: may have run"]);
    assert_eq!(bench.ended(), Some(R::Failed));
}

#[test]
fn a_report_after_the_verdict_is_kept_as_late() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let token = bench.begin("a");
    bench.lose("a", &token);
    let told = bench.report("a", &token, succeeded());
    assert_eq!(told.events.len(), 1);
    assert_eq!(
        bench.last_ignored(),
        Some((Report::Finished, Why::AfterResolution))
    );
    assert_eq!(told.sends.len(), 1, "the spool must drain");
    let again = bench.report("a", &token, succeeded());
    assert!(again.events.is_empty(), "a repeat changes nothing");
    assert_eq!(again.sends, told.sends, "and is acknowledged again");
    assert_eq!(bench.ended(), Some(R::Failed));
}

#[test]
fn a_person_decides() {
    for (resolution, outcome) in [
        (Resolution::Succeeded, S::Succeeded),
        (Resolution::Fail, S::Failed),
    ] {
        let mut bench = asks();
        let token = bench.begin("a");
        assert_eq!(
            bench.resolve("a", resolution),
            Err(Rejected::NotInDoubt("a".to_owned()))
        );
        bench.lose("a", &token);
        bench.resolve("a", resolution).unwrap();
        assert_eq!(bench.outcome("a"), Some(outcome));
        if outcome == S::Failed {
            assert_eq!(bench.reasons("a"), ["declared failed by ann: may have run"]);
        }
    }
    let mut bench = asks();
    let token = bench.begin("a#1");
    bench.lose("a#1", &token);
    bench.resolve("a", Resolution::Rerun).unwrap();
    assert_eq!(bench.queued(), ["a#2"]);
    bench.does("a#2", succeeded());
    bench.report("a#1", &token, failed(FailureKind::Exit));
    assert_eq!(bench.outcome("a"), Some(S::Succeeded), "the first try is late");
    assert_eq!(
        bench.resolve("nope", Resolution::Fail),
        Err(Rejected::NoSuchStep("nope".to_owned()))
    );
}

#[test]
fn nobody_answers() {
    let mut bench = asks();
    let token = bench.begin("a");
    bench.pass(5_000);
    bench.lose("a", &token);
    assert_eq!(bench.until_deadline(), super::bench::T0.plus(105_000));
    assert_eq!(bench.outcome("a"), Some(S::Failed));
    assert_eq!(bench.outcome("b"), Some(S::Omitted));
    assert!(bench.reasons("a")[0].contains("nobody"));
}

#[test]
fn items_in_doubt_are_named_when_there_are_several() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.each("[1, 2]", None).if_lost = IfLost::Ask;
    })]);
    for name in ["a[0]", "a[1]"] {
        let token = bench.begin(name);
        bench.lose(name, &token);
    }
    assert!(bench.resolve("a", Resolution::Fail).is_err(), "which one?");
    bench
        .tell(Command::Resolve {
            step: "a".to_owned(),
            index: Some(1),
            resolution: Resolution::Succeeded,
            by: "ann".to_owned(),
        })
        .unwrap();
    bench.resolve("a", Resolution::Fail).unwrap();
    assert_eq!(bench.outcome("a"), Some(S::Failed));
}

#[test]
fn what_certainly_never_started_goes_back_at_no_cost() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    bench.offer("a");
    bench.inventory(1, 2, &[]);
    assert_eq!(bench.queued(), ["a#1"], "the same attempt");
    let token = bench.offer_to("a", 1, 2);
    bench.report("a", &token, ReportBody::Accepted);
    bench.report("a", &token, ReportBody::Released { crashes: 0 });
    assert_eq!(bench.queued(), ["a#1"]);
    let late = bench.report("a", &token, succeeded());
    assert_eq!(late.events.len(), 1, "its token is dead");
    assert_eq!(bench.last_ignored(), Some((Report::Finished, Why::NotCurrent)));
    bench.does("a", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn an_inventory_without_what_was_accepted_is_a_loss() {
    let mut bench = Bench::new(vec![step("a", |s| s.if_lost = IfLost::Rerun)]);
    let token = bench.begin("a");
    bench.inventory(1, 1, &[]);
    assert!(bench.queued().is_empty(), "the same session proves nothing");
    bench.inventory(1, 2, &[(token.clone(), Held::Running)]);
    assert!(bench.queued().is_empty(), "it is adopted");
    bench.inventory(2, 3, &[]);
    assert!(bench.queued().is_empty(), "another agent's says nothing of it");
    bench.inventory(1, 4, &[]);
    assert_eq!(bench.queued(), ["a#2"]);
}

#[test]
fn an_agent_that_ended_it_unasked_counts_as_lost() {
    let mut bench = Bench::new(vec![step("a", |s| s.if_lost = IfLost::Rerun)]);
    for name in ["a#1", "a#2", "a#3"] {
        assert_eq!(bench.queued(), [name]);
        bench.does(name, stopped(true));
    }
    assert_eq!(bench.outcome("a"), Some(S::Failed), "two reruns, then it fails");
    assert!(bench.reasons("a")[0].contains("lease was over"));

    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(5, 1);
    })]);
    bench.does("a", stopped(true));
    assert_eq!(
        bench.outcome("a"),
        Some(S::Failed),
        "without `rerun` it is not run again"
    );
}

#[test]
fn what_crashes_its_agents_goes_to_a_second_and_no_further() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(5, 1);
    })]);
    let token = bench.offer_to("a", 1, 1);
    bench.report("a", &token, ReportBody::Released { crashes: 3 });
    assert_eq!(bench.queued(), ["a#1"], "the same attempt");
    let crashes = &bench.run.attempt(&at("a#1")).unwrap().crashes;
    assert_eq!(crashes.too_often(&agent(1)), Some(3));
    assert_eq!(crashes.too_often(&agent(2)), None);
    // The second crashes before it can write down what it got.
    for via in 2..4 {
        bench.offer_to("a", 2, via);
        bench.hello(2, via + 1, &[], true);
        assert_eq!(bench.queued(), ["a#1"]);
    }
    bench.offer_to("a", 2, 4);
    bench.hello(2, 5, &[], true);
    assert_eq!(bench.outcome("a"), Some(S::Failed), "and it is not tried again");
    let why = &bench.reasons("a")[0];
    assert!(why.starts_with("agent_crash: agents ended"), "{why}");
}

#[test]
fn a_lost_link_is_no_crash() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    for via in 1..9 {
        bench.offer_to("a", 1, via);
        bench.hello(1, via + 1, &[], false);
    }
    let crashes = &bench.run.attempt(&at("a#1")).unwrap().crashes;
    assert_eq!(crashes.too_often(&agent(1)), None);
}

#[test]
fn a_run_that_is_given_up_ends_with_a_reason_and_stops_what_runs() {
    let mut bench = Bench::new(vec![
        step("a", |_| {}),
        step("b", |_| {}),
        step("c", |s| {
            s.need(&["b"]);
        }),
    ]);
    bench.does("a", succeeded());
    let token = bench.begin("b");
    let context = Context {
        now: bench.now,
        entropy: 0,
    };
    let decision = give_up(&mut bench.run, "internal: because", context);
    assert_eq!(bench.ended(), Some(R::Failed));
    let outcomes = ["a", "b", "c"].map(|key| bench.outcome(key).unwrap());
    assert_eq!(outcomes, [S::Succeeded, S::Failed, S::NotRun]);
    assert_eq!(
        bench.run.ended.as_ref().unwrap().reasons[0].message,
        "internal: because"
    );
    let stopped: Vec<_> = decision.sends.iter().map(|to| to.send.clone()).collect();
    assert_eq!(stopped, [protocol::server::Send::Stop(token.clone())]);
    assert!(
        give_up(&mut bench.run, "again", context).events.is_empty(),
        "once"
    );
    let report = Command::Report {
        at: at("b#1"),
        token,
        from: agent(1),
        body: succeeded(),
    };
    let late = decide(&mut bench.run, report, context).unwrap().events;
    let [Event::ReportIgnored { why, .. }] = late.as_slice() else {
        panic!("{late:?}");
    };
    assert_eq!(*why, Why::AfterResolution);
}
