//! Tries: retries, their budgets, outputs.

use serde_json::{Value, json};
use types::{FailureKind as F, IfLost, RetryOn, RunOutcome as R, StepOutcome as S, Type, limits};

use super::bench::{Bench, Shape, at, degraded, failed, report, step, succeeded, with_outputs};
use crate::{Command, ReportBody};

#[test]
fn retries_back_off_up_to_their_limit() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(2, 500);
    })]);
    bench.does("a#1", failed(F::Exit));
    assert_eq!(bench.next_deadline(), Some(bench.now.plus(500)));
    assert!(bench.queued().is_empty());
    assert!(bench.tick().events.is_empty(), "it is not due yet");
    bench.until_deadline();
    bench.does("a#2", failed(F::Timeout));
    assert_eq!(bench.next_deadline(), Some(bench.now.plus(1_000)));
    bench.until_deadline();
    bench.does("a#3", failed(F::Oom));
    assert_eq!(bench.outcome("a"), Some(S::Failed));
    assert_eq!(bench.ended(), Some(R::Failed));
    assert_eq!(bench.next_deadline(), None);
}

#[test]
fn only_what_a_retry_can_help_is_tried_again() {
    for (kind, again) in [
        (F::Exit, true),
        (F::Signal, true),
        (F::Oom, true),
        (F::Timeout, true),
        (F::Start, true),
        (F::Output, true),
        (F::Transient, true),
        (F::RateLimited, true),
        (F::Action, false),
        (F::Refused, false),
        (F::NotPlaced, false),
        (F::Expression, false),
        (F::Lost, false),
        (F::Resolved, false),
        (F::Internal, false),
    ] {
        let mut bench = Bench::new(vec![step("a", |s| {
            s.tries_again(1, 10);
        })]);
        bench.does("a", failed(kind));
        assert_eq!(bench.ended().is_none(), again, "{kind:?}");
    }
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(1, 10).retry.on = vec![RetryOn::Oom];
    })]);
    bench.does("a", failed(F::Exit));
    assert_eq!(bench.ended(), Some(R::Failed), "`on` names what is retried");
}

#[test]
fn a_vendors_wait_is_kept() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(1, 10);
    })]);
    let mut limited = types::Failure::new(F::RateLimited, "slow down");
    limited.retry_after_ms = Some(30_000);
    let body = report(types::Verdict::Failed { failure: limited });
    bench.does("a", ReportBody::Finished(Box::new(body)));
    assert_eq!(bench.next_deadline(), Some(bench.now.plus(30_000)));
}

#[test]
fn jitter_is_between_nothing_and_the_delay() {
    let mut seen = std::collections::BTreeSet::new();
    for entropy in 0..50 {
        let mut bench = Bench::new(vec![step("a", |s| s.tries_again(1, 1_000).retry.jitter = true)]);
        let token = bench.begin("a");
        bench.tokens = entropy;
        bench.report("a", &token, failed(F::Exit));
        let due = bench.next_deadline().unwrap().since(bench.now);
        assert!(due <= 1_000);
        seen.insert(due);
    }
    assert!(seen.len() > 20, "it is spread: {seen:?}");
}

#[test]
fn a_retry_does_the_same_work_again() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(1, 10).param("elapsed", "run.elapsed_ms");
    })]);
    bench.does("a#1", failed(F::Exit));
    bench.until_deadline();
    let work = |name| std::sync::Arc::clone(&bench.run.attempt(&at(name)).unwrap().work);
    assert_eq!(work("a#1"), work("a#2"), "an item is evaluated once");
}

#[test]
fn lost_agents_have_a_budget_of_their_own() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.tries_again(1, 10).if_lost = IfLost::Rerun;
    })]);
    let token = bench.begin("a#1");
    bench.lose("a#1", &token);
    bench.does("a#2", failed(F::Exit));
    assert_eq!(
        bench.next_deadline(),
        Some(bench.now.plus(10)),
        "the first retry, with the first delay"
    );
    bench.until_deadline();
    let token = bench.begin("a#3");
    bench.lose("a#3", &token);
    let token = bench.begin("a#4");
    bench.lose("a#4", &token);
    assert_eq!(bench.count("attempt.queued"), 4, "two reruns and one retry");
    assert_eq!(bench.outcome("a"), Some(S::Failed));
    assert_eq!(bench.reasons("a"), ["lost: may have run"]);
}

#[test]
fn a_degraded_success_says_why_also_when_its_agent_does_not() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let body = report(types::Verdict::Degraded { reasons: Vec::new() });
    bench.does("a", ReportBody::Finished(Box::new(body)));
    assert_eq!(bench.ended(), Some(R::Degraded));
    assert_eq!(bench.reasons("a"), ["degraded without a reason"]);

    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let reasons = (0..100).map(|n| format!("{n}{}", "x".repeat(9_000))).collect();
    let body = report(types::Verdict::Degraded { reasons });
    bench.does("a", ReportBody::Finished(Box::new(body)));
    assert_eq!(bench.reasons("a").len(), limits::REASONS);
    assert_eq!(bench.reasons("a")[limits::REASONS - 1], "and 69 more");
    assert!(bench.reasons("a")[0].chars().count() <= limits::MESSAGE_CHARS);
}

#[test]
fn outputs_that_lie_fail_the_attempt() {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    for (outputs, why) in [
        (json!({}), "\"n\" is missing"),
        (json!({"n": "x"}), "\"n\": expected int"),
        (json!({"n": null}), "\"n\": expected int"),
        (json!({"n": 1, "m": 2}), "\"m\" is not declared"),
        (json!({"n": 1, "j": "x".repeat(limits::OUTPUTS_BYTES)}), "at most"),
        (json!({"n": 1, "j": deep}), "nested deeper"),
    ] {
        let mut bench = Bench::new(vec![
            step("a", |s| {
                s.output("n", Type::Int, false).output("j", Type::Json, true);
            }),
            step("b", |s| {
                s.need(&["a"]);
            }),
        ]);
        bench.does("a", with_outputs(outputs));
        assert_eq!(bench.outcome("a"), Some(S::Failed), "{why}");
        assert!(bench.reasons("a")[0].contains(why), "{:?}", bench.reasons("a"));
        assert!(bench.run.step("a").unwrap().1.outputs().is_none());
        assert_eq!(bench.outcome("b"), Some(S::Omitted));
    }
    let mut bench = Bench::new(vec![step("a", |s| {
        s.output("n", Type::Int, true);
    })]);
    bench.does("a", with_outputs(json!({"n": null})));
    assert_eq!(bench.ended(), Some(R::Succeeded), "an optional one may be absent");
}

#[test]
fn a_failure_publishes_no_outputs() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.allow_failure = true;
        s.output("n", Type::Int, true);
    })]);
    let mut lying = report(types::Verdict::Failed {
        failure: types::Failure::new(F::Exit, "x".repeat(100_000)),
    });
    lying.outputs.insert("n".to_owned(), json!(1));
    bench.does("a", ReportBody::Finished(Box::new(lying)));
    assert!(bench.run.step("a").unwrap().1.outputs().is_none());
    assert!(bench.reasons("a")[0].chars().count() <= limits::MESSAGE_CHARS);
}

#[test]
fn what_cannot_be_sent_fails_its_step() {
    let mut bench = Bench::new(vec![
        step("a", |s| {
            s.output("j", Type::Json, false);
        }),
        step("b", |s| {
            s.need(&["a"]);
            for n in 0..8 {
                s.param(&format!("p{n}"), "steps.a.outputs.j");
            }
        }),
        step("c", |s| {
            s.need(&["a"]).param("one", "steps.a.outputs.j");
        }),
    ]);
    bench.does("a", with_outputs(json!({"j": "x".repeat(200_000)})));
    assert_eq!(bench.outcome("b"), Some(S::Failed));
    assert!(
        bench.reasons("b")[0].contains("at most"),
        "{:?}",
        bench.reasons("b")
    );
    assert_eq!(bench.queued(), ["c#1"]);
}

#[test]
fn a_deep_alert_is_read_back() {
    let deep = (0..126).fold(json!(1), |inner, _| json!([inner]));
    let mut first = super::bench::first(super::bench::plan(vec![step("a", |_| {})]));
    first.trigger.alert = Some(json!({ "x": deep }));
    let stored = crate::history::write(&crate::Event::RunStarted(Box::new(first)));
    let plain: Result<Value, _> = serde_json::from_str(&stored.body);
    assert!(plain.is_err(), "a plain reader refuses it");
    crate::history::read(&stored.kind, stored.version, &stored.body).unwrap();
}

#[test]
fn numbers_are_read_back_as_they_were() {
    let mut state = 1u64;
    for _ in 0..20_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let number = f64::from_bits(state);
        if number.is_finite() {
            let text = json!(number).to_string();
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, json!(number), "{text}");
        }
    }
}

#[test]
fn commands_after_the_end_are_refused_or_change_nothing() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let token = bench.does("a", degraded("half"));
    let before = bench.run.ended.clone();
    assert!(
        bench
            .tell(Command::Cancel {
                by: "x".to_owned(),
                reason: String::new()
            })
            .is_err()
    );
    bench.report("a", &token, succeeded());
    bench.inventory(1, 9, &[]);
    assert!(bench.tick().events.is_empty());
    assert_eq!(bench.run.ended, before);
}
