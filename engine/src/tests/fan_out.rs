//! `foreach`.

use serde_json::json;
use types::{FailureKind as F, RunOutcome as R, StepOutcome as S, Type, limits};
use workflow::{Expr, FanOut, Template};

use super::bench::{Bench, Shape, at, degraded, failed, step, succeeded, with_outputs};

#[test]
fn an_empty_list_succeeds() {
    let mut bench = Bench::new(vec![
        step("a", |s| {
            s.each("[]", None);
        }),
        step("b", |s| {
            s.need(&["a"]).param("items", "steps.a.items");
        }),
    ]);
    assert_eq!(bench.outcome("a"), Some(S::Succeeded));
    let work = serde_json::to_value(bench.run.attempt(&at("b")).unwrap().work.as_ref()).unwrap();
    assert_eq!(work["params"]["items"], json!([]));
    bench.does("b", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

fn literal(n: usize) -> FanOut {
    FanOut::Each {
        items: Template::Literal(json!((0..n).collect::<Vec<_>>())),
        max_parallel: Some(3),
    }
}

#[test]
fn a_huge_list() {
    let bench = Bench::new(vec![step("a", |s| s.fan_out = Some(literal(limits::ITEMS + 1)))]);
    assert_eq!(bench.outcome("a"), Some(S::Failed));
    assert!(bench.reasons("a")[0].contains("1001 items, at most 1000"));
    let mut bench = Bench::new(vec![step("a", |s| s.fan_out = Some(literal(limits::ITEMS)))]);
    for n in 0..limits::ITEMS {
        assert_eq!(bench.queued().len(), 3.min(limits::ITEMS - n), "item {n}");
        bench.does(&format!("a[{n}]"), succeeded());
        if n == 20 {
            break;
        }
    }
    assert_eq!(bench.outcome("a"), None);
}

#[test]
fn at_most_so_many_at_once() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.each("[1, 2, 3]", Some(1));
    })]);
    for name in ["a[0]#1", "a[1]#1", "a[2]#1"] {
        assert_eq!(bench.queued(), [name]);
        bench.does(name, succeeded());
    }
    assert_eq!(bench.ended(), Some(R::Succeeded));
    let bench = Bench::new(vec![step("a", |s| {
        s.each("[1, 2, 3]", None);
    })]);
    assert_eq!(bench.queued().len(), 3);
}

#[test]
fn failures_in_part() {
    // allow-failure, how items end → the step, the run
    let exit = || failed(F::Exit);
    for (allow, ends, step_ends, run_ends) in [
        (false, [succeeded(), succeeded()], S::Succeeded, R::Succeeded),
        (false, [succeeded(), degraded("half")], S::Degraded, R::Degraded),
        (false, [succeeded(), exit()], S::Failed, R::Failed),
        (true, [succeeded(), exit()], S::Degraded, R::Degraded),
        (true, [exit(), exit()], S::Failed, R::Degraded),
    ] {
        let mut bench = Bench::new(vec![step("a", |s| {
            s.each("[\"web\", \"db\"]", None).allow_failure = allow;
        })]);
        for (n, end) in ends.into_iter().enumerate() {
            bench.does(&format!("a[{n}]"), end);
        }
        assert_eq!(bench.outcome("a"), Some(step_ends));
        assert_eq!(bench.ended(), Some(run_ends));
        if run_ends != R::Succeeded {
            assert!(bench.reasons("a").last().unwrap().starts_with("db: "));
        }
    }
}

#[test]
fn a_cancel_beside_an_allowed_failure_is_no_mere_degradation() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.each("[1, 2]", None).allow_failure = true;
    })]);
    bench.does("a[0]", failed(F::Exit));
    bench.cancel();
    assert_eq!(bench.outcome("a"), Some(S::Cancelled));
    assert_eq!(bench.ended(), Some(R::Cancelled));
}

#[test]
fn items_in_their_order_with_what_they_gave() {
    let mut bench = Bench::new(vec![
        step("a", |s| {
            s.each("[\"x\", \"y\"]", None).output("n", Type::Int, false);
            s.allow_failure = true;
        }),
        step("b", |s| {
            s.need(&["a"]).param("items", "steps.a.items");
        }),
    ]);
    bench.does("a[1]", with_outputs(json!({"n": 2})));
    bench.does("a[0]", failed(F::Exit));
    let work = serde_json::to_value(bench.run.attempt(&at("b")).unwrap().work.as_ref()).unwrap();
    let items = &work["params"]["items"];
    assert_eq!(items[0]["value"], "x");
    assert_eq!(items[0]["outcome"], "failed");
    assert_eq!(items[0]["reason"], "it broke");
    assert!(items[0].get("outputs").is_none());
    assert_eq!(items[1]["outputs"], json!({"n": 2}));
    assert_eq!(items[1]["agent_name"], "agent-1");
}

#[test]
fn an_item_that_cannot_be_evaluated_fails_alone() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.each("[\"web-1\", \"no host; rm\"]", None).allow_failure = true;
        let host = Template::Expr(Expr("agent_host(each.value)".to_owned()));
        s.runs_on.insert("host".to_owned(), host);
    })]);
    assert_eq!(bench.queued(), ["a[0]#1"]);
    let attempt = bench.run.attempt(&at("a[0]")).unwrap();
    assert_eq!(attempt.runs_on["host"], "web-1");
    assert!(bench.run.step("a").unwrap().1.items[1].refused.is_some());
    bench.does("a[0]", succeeded());
    assert_eq!(bench.outcome("a"), Some(S::Degraded));
}

#[test]
fn items_are_tried_again_each_for_itself() {
    let mut bench = Bench::new(vec![step("a", |s| {
        s.each("[1, 2]", None).tries_again(1, 100);
    })]);
    bench.does("a[0]#1", failed(F::Exit));
    bench.does("a[1]#1", succeeded());
    assert_eq!(bench.outcome("a"), None, "all settle before the join");
    bench.until_deadline();
    bench.does("a[0]#2", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn many_reasons_are_counted() {
    let mut bench = Bench::new(vec![step("a", |s| s.fan_out = Some(literal(40)))]);
    for n in 0..40 {
        bench.does(&format!("a[{n}]"), failed(F::Exit));
    }
    assert_eq!(bench.reasons("a").len(), limits::REASONS);
    assert_eq!(bench.reasons("a")[limits::REASONS - 1], "and 9 more");
    assert_eq!(bench.reasons("a")[0], "0: it broke");
}
