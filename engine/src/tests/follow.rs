//! `follow`: batches of what others' fan-outs have finished.

use types::{FailureKind as F, RunOutcome as R, StepOutcome as S};

use super::bench::{Bench, Shape, at, failed, step, succeeded};
use crate::Phase;

fn posts(gather_ms: u64) -> Bench {
    Bench::new(vec![
        step("checks", |s| s.each("[1, 2, 3]", None).allow_failure = true),
        step("post", |s| {
            s.follow(&["checks"], gather_ms);
        }),
    ])
}

fn batch(bench: &Bench, name: &str) -> Vec<i64> {
    let work = serde_json::to_value(bench.run.attempt(&at(name)).unwrap().work.as_ref()).unwrap();
    let items = work["params"]["batch"].as_array().unwrap().clone();
    items.iter().map(|item| item["value"].as_i64().unwrap()).collect()
}

#[test]
fn what_lands_together_is_one_batch() {
    let mut bench = posts(1_000);
    bench.does("checks[2]", succeeded());
    bench.pass(400);
    bench.does("checks[0]", failed(F::Exit));
    assert!(bench.queued().iter().all(|name| !name.starts_with("post")));
    assert_eq!(bench.next_deadline(), Some(super::bench::T0.plus(1_000)));
    bench.until_deadline();
    assert_eq!(batch(&bench, "post[0]"), [1, 3]);
    bench.does("checks[1]", succeeded());
    assert!(bench.run.attempt(&at("post[1]")).is_none(), "one batch at a time");
    bench.does("post[0]", succeeded());
    assert_eq!(batch(&bench, "post[1]"), [2], "all has landed: no more gathering");
    bench.does("post[1]", succeeded());
    assert_eq!(bench.outcome("post"), Some(S::Succeeded));
    assert_eq!(bench.ended(), Some(R::Degraded));
}

#[test]
fn the_last_to_land_ends_the_gathering() {
    let mut bench = posts(1_000);
    for name in ["checks[0]", "checks[1]", "checks[2]"] {
        bench.does(name, succeeded());
    }
    assert_eq!(batch(&bench, "post[0]"), [1, 2, 3]);
    bench.does("post[0]", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn a_batch_that_fails_fails_the_follower_and_takes_the_rest() {
    let mut bench = posts(0);
    bench.does("checks[0]", succeeded());
    bench.does("post[0]", failed(F::Action));
    bench.does("checks[1]", succeeded());
    bench.does("post[1]", succeeded());
    bench.does("checks[2]", succeeded());
    bench.does("post[2]", succeeded());
    assert_eq!(bench.outcome("post"), Some(S::Failed));
    assert_eq!(bench.ended(), Some(R::Failed));
}

#[test]
fn nothing_to_follow() {
    for (when, needs_fail) in [("1 == 2", false), ("1 == 1", true)] {
        let mut bench = Bench::new(vec![
            step("root", |_| {}),
            step("checks", |s| {
                s.need(&["root"]).each("[1]", None).when(when);
            }),
            step("post", |s| {
                s.follow(&["checks"], 0);
            }),
        ]);
        assert_eq!(bench.run.step("post").unwrap().1.phase, Phase::Waiting);
        bench.does("root", if needs_fail { failed(F::Exit) } else { succeeded() });
        let expected = if needs_fail { S::Omitted } else { S::Skipped };
        assert_eq!(bench.outcome("checks"), Some(expected));
        assert_eq!(bench.outcome("post"), Some(S::Succeeded), "an empty follow");
        assert!(bench.ended().is_some());
    }
}

#[test]
fn several_are_followed_and_one_begins_late() {
    let mut bench = Bench::new(vec![
        step("slow", |_| {}),
        step("gate", |_| {}),
        step("a", |s| {
            s.each("[1]", None);
        }),
        step("b", |s| {
            s.need(&["slow"]).each("[2, 3]", None);
        }),
        step("post", |s| {
            s.need(&["gate"]).follow(&["a", "b"], 0);
        }),
    ]);
    bench.does("a[0]", succeeded());
    assert_eq!(bench.outcome("a"), Some(S::Succeeded));
    bench.does("gate", succeeded());
    assert_eq!(
        batch(&bench, "post[0]"),
        [1],
        "what has landed is not kept waiting for `b`"
    );
    bench.does("slow", succeeded());
    bench.does("b[1]", succeeded());
    bench.does("post[0]", succeeded());
    bench.does("b[0]", succeeded());
    assert_eq!(batch(&bench, "post[1]"), [3]);
    bench.does("post[1]", succeeded());
    assert_eq!(batch(&bench, "post[2]"), [2]);
    bench.does("post[2]", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn a_follower_is_followed() {
    let mut bench = Bench::new(vec![
        step("a", |s| {
            s.each("[1]", None);
        }),
        step("p", |s| {
            s.follow(&["a"], 0);
        }),
        step("q", |s| {
            s.follow(&["p"], 0);
        }),
    ]);
    bench.does("a[0]", succeeded());
    bench.does("p[0]", succeeded());
    bench.does("q[0]", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}
