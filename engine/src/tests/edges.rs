//! The table of edges, the status functions, outcomes and reasons.

use serde_json::json;
use types::{FailureKind, IfLost, RunOutcome as R, StepOutcome as S, Type};

use super::bench::{Bench, Shape, at, degraded, failed, step, succeeded, with_outputs};
use crate::{Event, Phase};

/// Ends step `a` in one of the ways of the table.
fn with_need(ending: &str, behind: &str) -> Bench {
    let mut bench = Bench::new(vec![
        step("root", |_| {}),
        step("a", |s| {
            s.need(&["root"]);
            s.allow_failure = ending == "allowed";
            if ending == "skipped" {
                s.when("1 == 2");
            }
        }),
        step("b", |s| {
            s.need(&["a"]);
            if !behind.is_empty() {
                s.when(behind);
            }
        }),
        step("c", |s| {
            s.need(&["b"]);
        }),
    ]);
    let exit = || failed(FailureKind::Exit);
    bench.does("root", if ending == "omitted" { exit() } else { succeeded() });
    match ending {
        "succeeded" => drop(bench.does("a", succeeded())),
        "degraded" => drop(bench.does("a", degraded("half"))),
        "failed" | "allowed" => drop(bench.does("a", exit())),
        _ => {}
    }
    bench
}

#[test]
fn the_default_edge() {
    for (ending, holds, run) in [
        ("succeeded", true, R::Succeeded),
        ("degraded", true, R::Degraded),
        ("allowed", true, R::Degraded),
        ("skipped", true, R::Succeeded),
        ("failed", false, R::Failed),
        ("omitted", false, R::Failed),
    ] {
        let mut bench = with_need(ending, "");
        if holds {
            assert_eq!(bench.queued(), ["b#1"], "{ending}");
            bench.does("b", succeeded());
            bench.does("c", succeeded());
        } else {
            assert_eq!(bench.outcome("b"), Some(S::Omitted), "{ending}");
            assert_eq!(bench.outcome("c"), Some(S::Omitted), "omission goes on: {ending}");
        }
        assert_eq!(bench.ended(), Some(run), "{ending}");
    }
}

#[test]
fn the_history_says_which_edge_did_not_hold() {
    let bench = with_need("failed", "");
    let omitted: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::StepOmitted { step, because, ended } => Some((step.as_str(), because.as_str(), *ended)),
            _ => None,
        })
        .collect();
    assert_eq!(omitted, [("b", "a", S::Failed), ("c", "b", S::Omitted)]);
    assert_eq!(
        bench.run.step("c").unwrap().1.omitted_because.as_deref(),
        Some("b")
    );
}

#[test]
fn status_functions_replace_the_default_edge() {
    // ending, then whether succeeded(), degraded(), failed(), always(), cancelled() let `b` begin
    for (ending, begins) in [
        ("succeeded", [true, false, false, true, false]),
        ("degraded", [true, true, false, true, false]),
        ("allowed", [true, true, false, true, false]),
        ("skipped", [true, false, false, true, false]),
        ("failed", [false, false, true, true, false]),
        ("omitted", [false, false, true, true, false]),
    ] {
        let functions = ["succeeded()", "degraded()", "failed()", "always()", "cancelled()"];
        for (function, begins) in functions.into_iter().zip(begins) {
            let bench = with_need(ending, function);
            let expected = if begins {
                Phase::Active
            } else {
                Phase::Ended(S::Skipped)
            };
            assert_eq!(
                bench.run.step("b").unwrap().1.phase,
                expected,
                "{ending} {function}"
            );
        }
    }
}

#[test]
fn a_step_that_tidies_up_never_improves_the_outcome() {
    let mut bench = with_need("failed", "always()");
    bench.does("b", succeeded());
    bench.does("c", succeeded());
    assert_eq!(bench.ended(), Some(R::Failed));
    let reasons = &bench.run.ended.as_ref().unwrap().reasons;
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].step.as_deref(), Some("a"));
    assert_eq!(reasons[0].message, "it broke");
}

#[test]
fn a_need_in_doubt_is_waited_for() {
    let mut bench = Bench::new(vec![
        step("a", |s| s.if_lost = IfLost::Ask),
        step("b", |s| {
            s.need(&["a"]).when("always()");
        }),
    ]);
    let token = bench.begin("a");
    bench.lose("a", &token);
    assert_eq!(bench.run.step("a").unwrap().1.word(), "in_doubt");
    assert_eq!(bench.run.step("b").unwrap().1.phase, Phase::Waiting);
    bench.report("a", &token, succeeded());
    assert_eq!(
        bench.outcome("a"),
        Some(S::Succeeded),
        "a real report settles the doubt"
    );
    assert_eq!(bench.queued(), ["b#1"]);
}

#[test]
fn outputs_are_there_only_after_a_success() {
    let mut bench = Bench::new(vec![
        step("a", |s| {
            s.output("n", Type::Int, false);
        }),
        step("b", |s| {
            s.need(&["a"]).param("n", "steps.a.outputs.n + 1");
        }),
    ]);
    bench.does("a", with_outputs(json!({"n": 41})));
    let work = &bench.run.attempt(&at("b")).unwrap().work;
    assert_eq!(
        serde_json::to_value(work.as_ref()).unwrap()["params"],
        json!({"n": 42})
    );
    bench.does("b", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn an_expression_without_a_value_fails_its_step_only() {
    let mut bench = Bench::new(vec![
        step("a", |s| {
            s.when("inputs.nope == 1");
        }),
        step("b", |s| {
            s.param("x", "inputs.nope");
        }),
        step("c", |s| {
            s.each("inputs.nope", None);
        }),
        step("d", |s| {
            s.when("1 + 1");
        }),
        step("e", |_| {}),
    ]);
    for key in ["a", "b", "c", "d"] {
        assert_eq!(bench.outcome(key), Some(S::Failed), "{key}");
        assert_eq!(bench.reasons(key).len(), 1, "{key}");
    }
    assert!(bench.reasons("b")[0].contains("FH07"), "{:?}", bench.reasons("b"));
    bench.does("e", succeeded());
    assert_eq!(bench.ended(), Some(R::Failed));
}

#[test]
fn a_plan_without_steps_succeeds_at_once() {
    let bench = Bench::new(Vec::new());
    assert_eq!(bench.ended(), Some(R::Succeeded));
    assert_eq!(bench.next_deadline(), None);
}

#[test]
fn an_allowed_failure_degrades_with_its_reason() {
    let mut bench = Bench::new(vec![step("a", |s| s.allow_failure = true)]);
    bench.does("a", failed(FailureKind::Oom));
    assert_eq!(bench.outcome("a"), Some(S::Failed));
    assert_eq!(bench.ended(), Some(R::Degraded));
    assert_eq!(bench.run.ended.as_ref().unwrap().reasons[0].message, "it broke");
}

#[test]
fn the_record_is_what_a_summary_reads() {
    let mut bench = Bench::new(vec![
        step("a", |_| {}),
        step("b", |s| {
            s.need(&["a"]).when("always()").param("run", "run.outcome");
        }),
    ]);
    bench.does("a", failed(FailureKind::Exit));
    let work = serde_json::to_value(bench.run.attempt(&at("b")).unwrap().work.as_ref()).unwrap();
    assert_eq!(work["params"]["run"], json!("failed"));
    let record = bench.run.record(bench.now);
    assert_eq!(record.steps[0].outcome, "failed");
    assert_eq!(record.steps[0].attempts[0].agent.as_deref(), Some("agent-1"));
    assert_eq!(record.steps[1].outcome, "queued");
}
