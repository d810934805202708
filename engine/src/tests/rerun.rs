//! Runs repeated: what runs again, what is taken over, and what may never come of it.

use proptest::{collection::vec, prelude::*, test_runner::Config};
use serde_json::json;
use types::{FailureKind, RunOutcome, StepOutcome as S, Type};
use workflow::PlanStep;

use super::{
    bench::{Bench, Shape, degraded, failed, step, succeeded, with_outputs},
    schedules::a_plan,
    world::World,
};
use crate::{Event, NoRerun, Run, history};

/// a → b → c, and d by itself; c reads b, b reads a.
fn chain() -> Vec<PlanStep> {
    vec![
        step("a", |s| {
            s.output("n", Type::Int, false);
        }),
        step("b", |s| {
            s.need(&["a"])
                .param("n", "steps.a.outputs.n")
                .output("m", Type::Int, false);
        }),
        step("c", |s| {
            s.need(&["b"]).param("m", "steps.b.outputs.m");
        }),
        step("d", |s| {
            s.need(&[]);
        }),
    ]
}

fn failed_in_b() -> Bench {
    let mut bench = Bench::new(chain());
    bench.does("a", with_outputs(json!({"n": 7})));
    bench.does("b", failed(FailureKind::Exit));
    bench.does("d", degraded("half of it"));
    assert_eq!(bench.ended(), Some(RunOutcome::Failed));
    bench
}

fn param(run: &Run, step: &str, name: &str) -> serde_json::Value {
    let attempt = &run.step(step).unwrap().1.items[0].attempts[0];
    serde_json::to_value(attempt.work.as_ref()).unwrap()["body"]["with"][name].clone()
}

#[test]
fn from_a_failed_step_on_with_the_outputs_before_it() {
    let earlier = failed_in_b();
    let mut bench = Bench::rerun(&earlier.run, &["b"]).unwrap();
    assert_eq!(bench.queued(), ["b#1"], "a and d are not run again");
    let values = serde_json::to_value(bench.run.queued().next().unwrap().1.work.as_ref()).unwrap();
    assert!(values.to_string().contains('7'), "b got what a left: {values}");
    bench.does("b", with_outputs(json!({"m": 8})));
    bench.does("c", succeeded());
    assert_eq!(bench.outcome("a"), Some(S::Succeeded));
    assert_eq!(bench.outcome("d"), Some(S::Degraded));
    assert_eq!(bench.reasons("d"), ["half of it"]);
    // What is taken over is as bad as it was.
    assert_eq!(bench.ended(), Some(RunOutcome::Degraded));
    let Event::RunStarted(first) = &bench.events[0] else {
        panic!()
    };
    assert_eq!(first.rerun_of.as_ref(), Some(&earlier.run.id));
    assert_eq!(first.rerun_from, ["b"]);
    assert_eq!(first.reused.keys().collect::<Vec<_>>(), ["a", "d"]);
    assert_eq!(
        bench.run.step("a").unwrap().1.reused_from.as_ref(),
        Some(&earlier.run.id)
    );
    assert_eq!(param(&bench.run, "b", "n"), param(&earlier.run, "b", "n"));
}

#[test]
fn nothing_chosen_means_what_did_not_succeed() {
    let earlier = failed_in_b();
    let bench = Bench::rerun(&earlier.run, &[]).unwrap();
    assert_eq!(bench.queued(), ["b#1", "d#1"]);
    let mut bench = Bench::new(chain());
    bench.does("a", with_outputs(json!({"n": 7})));
    bench.does("b", with_outputs(json!({"m": 8})));
    bench.does("c", succeeded());
    bench.does("d", succeeded());
    assert_eq!(Bench::rerun(&bench.run, &[]).err(), Some(NoRerun::Nothing));
}

#[test]
fn what_cannot_be_repeated_is_refused() {
    let live = Bench::new(chain());
    assert_eq!(Bench::rerun(&live.run, &["a"]).err(), Some(NoRerun::Live));
    let step = "bb".to_owned();
    let unknown = Bench::rerun(&failed_in_b().run, &["a", "bb"]).err();
    assert_eq!(unknown, Some(NoRerun::NoSuchStep { place: 1, step }));
}

#[test]
fn a_step_that_failed_and_is_not_chosen_stays_failed() {
    let earlier = failed_in_b();
    let mut bench = Bench::rerun(&earlier.run, &["d"]).unwrap();
    bench.does("d", succeeded());
    assert_eq!(bench.outcome("b"), Some(S::Failed));
    assert_eq!(bench.outcome("c"), Some(S::Omitted));
    assert_eq!(bench.ended(), Some(RunOutcome::Failed));
}

#[test]
fn what_a_cancel_ended_is_no_success_when_it_is_taken_over() {
    let mut bench = Bench::new(chain());
    bench.does("a", with_outputs(json!({"n": 7})));
    bench.cancel();
    assert_eq!(bench.outcome("c"), Some(S::NotRun));
    let mut again = Bench::rerun(&bench.run, &["d"]).unwrap();
    again.does("d", succeeded());
    assert_eq!(again.ended(), Some(RunOutcome::Cancelled));
    assert!(!again.run.ended.as_ref().unwrap().reasons.is_empty());
}

#[test]
fn a_repetition_of_a_repetition_says_where_a_step_really_ran() {
    let earlier = failed_in_b();
    let mut second = Bench::rerun(&earlier.run, &["b"]).unwrap();
    second.does("b", with_outputs(json!({"m": 8})));
    second.does("c", failed(FailureKind::Exit));
    let third = Bench::rerun(&second.run, &["c"]).unwrap();
    assert_eq!(third.queued(), ["c#1"]);
    let from = |key: &str| third.run.step(key).unwrap().1.reused_from.clone();
    assert_eq!(from("a"), Some(earlier.run.id.clone()));
    assert_eq!(from("b"), Some(second.run.id.clone()));
    assert_eq!(third.run.rerun_of, Some(second.run.id));
}

#[test]
fn a_fan_out_is_taken_over_whole_for_who_reads_or_follows_it() {
    let steps = vec![
        step("hosts", |s| {
            s.each("[\"x\", \"y\"]", None).output("n", Type::Int, false);
            s.allow_failure = true;
        }),
        step("post", |s| {
            s.follow(&["hosts"], 10);
        }),
        step("sum", |s| {
            s.need(&["hosts"]).param("items", "steps.hosts.items");
        }),
    ];
    let mut bench = Bench::new(steps);
    bench.does("hosts[0]", with_outputs(json!({"n": 1})));
    bench.does("hosts[1]", failed(FailureKind::Exit));
    let batches = bench.queued();
    for batch in batches {
        bench.does(&batch, failed(FailureKind::Exit));
    }
    while bench.ended().is_none() {
        match bench.queued().first().cloned() {
            Some(name) => drop(bench.does(&name, failed(FailureKind::Exit))),
            None => drop(bench.until_deadline()),
        }
    }
    let mut again = Bench::rerun(&bench.run, &["post", "sum"]).unwrap();
    assert_eq!(again.run.items(0), bench.run.items(0), "each item as it was");
    assert_eq!(
        again.queued(),
        ["post[0]#1", "sum#1"],
        "what has landed is one batch"
    );
    assert_eq!(
        param(&again.run, "sum", "items"),
        param(&bench.run, "sum", "items")
    );
    again.does("post[0]", succeeded());
    again.does("sum", succeeded());
    assert_eq!(again.ended(), Some(RunOutcome::Degraded));
}

fn severity(outcome: S) -> RunOutcome {
    match outcome {
        S::Failed => RunOutcome::Degraded,
        S::Degraded => RunOutcome::Degraded,
        S::Cancelled | S::NotRun => RunOutcome::Cancelled,
        S::Succeeded | S::Skipped | S::Omitted => RunOutcome::Succeeded,
    }
}

proptest! {
    #![proptest_config(Config { cases: 600, ..Config::default() })]

    /// A repetition of every step is a fresh run, event for event.
    #[test]
    fn all_of_it_again_is_a_fresh_run(plan in a_plan(), choices in vec(any::<u16>(), 0..160)) {
        let mut world = World::new(plan.clone(), choices);
        world.play();
        world.be_kind();
        let all: Vec<&str> = plan.steps.iter().map(|step| step.key.as_str()).collect();
        let again = Bench::rerun(&world.run, &all).unwrap();
        let fresh = Bench::new(plan.steps.clone());
        // Instants and the run's own id differ, and both stand in works and deadlines.
        let kinds = |bench: &Bench| bench.events.iter().map(|event| {
            let body: serde_json::Value = serde_json::from_str(&history::write(event).body).unwrap();
            (event.kind(), body["step"].clone(), body["index"].clone(), body["outcome"].clone())
        }).collect::<Vec<_>>();
        prop_assert_eq!(kinds(&again), kinds(&fresh));
        let Event::RunStarted(first) = &again.events[0] else { panic!() };
        prop_assert!(first.reused.is_empty());
    }

    /// What is taken over never runs, is what it was, and the whole is not better than it.
    #[test]
    fn what_is_taken_over_stays_what_it_was(
        plan in a_plan(), choices in vec(any::<u16>(), 0..160), mask in any::<u16>(),
    ) {
        let mut world = World::new(plan.clone(), choices);
        world.play();
        world.be_kind();
        let keys: Vec<&str> = plan.steps.iter().enumerate()
            .filter(|(i, _)| mask & (1 << i) != 0)
            .map(|(_, step)| step.key.as_str())
            .collect();
        let Ok(mut again) = Bench::rerun(&world.run, &keys) else {
            prop_assert!(keys.is_empty());
            return Ok(());
        };
        let Event::RunStarted(first) = again.events[0].clone() else { panic!() };
        for key in &keys {
            prop_assert!(!first.reused.contains_key(*key), "what is chosen is not taken over");
        }
        let mut rounds = 0;
        while again.ended().is_none() {
            rounds += 1;
            prop_assert!(rounds < 500, "it ends");
            match again.queued().first().cloned() {
                Some(name) => drop(again.does(&name, succeeded())),
                None => drop(again.until_deadline()),
            }
        }
        for event in &again.events {
            if let Event::AttemptQueued(queued) = event {
                prop_assert!(!first.reused.contains_key(&queued.at.step), "a step that is taken over does not run");
            }
        }
        for key in first.reused.keys() {
            let (before, now) = (world.run.step(key).unwrap().1, again.run.step(key).unwrap().1);
            prop_assert_eq!(before.outcome(), now.outcome());
            prop_assert_eq!(&before.reasons, &now.reasons);
            prop_assert_eq!(before.outputs(), now.outputs());
            let i = again.run.position(key).unwrap();
            prop_assert_eq!(world.run.items(i), again.run.items(i));
            prop_assert!(again.ended().unwrap() >= severity(now.outcome().unwrap()));
        }
    }
}
