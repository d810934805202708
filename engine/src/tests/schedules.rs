//! Random plans under random schedules. A failing case is printed, shrunk and kept in `proptest-regressions`.

use std::{cell::Cell, time::Instant};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use types::{IfLost, RunOutcome};
use workflow::{Plan, PlanStep};

use super::{
    bench::{Shape, plan, step},
    world::World,
};

const WHENS: [&str; 12] = [
    "",
    "",
    "",
    "1 == 1",
    "1 == 2",
    "always()",
    "failed()",
    "succeeded()",
    "degraded() || cancelled()",
    "!cancelled()",
    "inputs.nope",
    "cancelled()",
];

#[derive(Debug, Clone)]
struct StepShape {
    needs: u16,
    when: usize,
    fan: u8,
    limits: (u32, u8, bool),
    if_lost: u8,
}

fn step_shape() -> impl Strategy<Value = StepShape> {
    let limits = (0..3u32, any::<u8>(), any::<bool>());
    (any::<u16>(), 0..WHENS.len(), 0..12u8, limits, 0..4u8).prop_map(|(needs, when, fan, limits, if_lost)| {
        StepShape {
            needs,
            when,
            fan,
            limits,
            if_lost,
        }
    })
}

fn key(n: usize) -> String {
    format!("s{n}")
}

fn build(n: usize, shape: &StepShape, fans: &[bool]) -> PlanStep {
    step(&key(n), |s| {
        // Every second mask has few bits: chains and diamonds rather than everything on everything.
        let mask = if shape.needs.is_multiple_of(2) {
            shape.needs >> 1 & shape.needs >> 5
        } else {
            shape.needs >> 1
        };
        for need in (0..n).filter(|need| mask & (1 << need) != 0) {
            s.needs.insert(key(need));
        }
        if !WHENS[shape.when].is_empty() {
            s.when(WHENS[shape.when]);
        }
        let (limit, time, allow) = shape.limits;
        s.tries_again(limit, u64::from(time) * 20).retry.jitter = time.is_multiple_of(2);
        s.allow_failure = allow;
        s.if_lost = [IfLost::Fail, IfLost::Rerun, IfLost::Ask, IfLost::Ask][usize::from(shape.if_lost)];
        s.pickup_ms = u64::from(time) * 40;
        match shape.fan {
            0 => {
                s.each("[]", None);
            }
            1 => {
                s.each("[1, 2, 3]", Some(1));
            }
            2 => {
                s.each("[1, 2, 3]", Some(2));
            }
            3 => {
                s.each("[\"x\", \"y\"]", None);
            }
            // One of its items cannot be evaluated.
            4 => {
                s.each("[1, 0, 2]", Some(2)).param("p", "10 / each.value");
            }
            5..=7 => {
                let followed: Vec<String> = (0..n)
                    .filter(|&f| fans[f] && !s.needs.contains(&key(f)))
                    .map(key)
                    .collect();
                if !followed.is_empty() {
                    let followed: Vec<&str> = followed.iter().map(String::as_str).collect();
                    s.follow(&followed, u64::from(time) * 10);
                }
            }
            _ => {
                s.param("p", "run.outcome");
            }
        }
    })
}

pub(super) fn a_plan() -> impl Strategy<Value = Plan> {
    (vec(step_shape(), 1..7), any::<bool>()).prop_map(|(shapes, reversed)| {
        let mut fans = Vec::new();
        let mut steps = Vec::new();
        for (n, shape) in shapes.iter().enumerate() {
            let built = build(n, shape, &fans);
            fans.push(built.fan_out.is_some());
            steps.push(built);
        }
        if reversed {
            steps.reverse();
        }
        plan(steps)
    })
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3_000)
}

fn explore(name: &str, mut ending: impl FnMut(&mut World)) {
    let ends: [Cell<u32>; 4] = Default::default();
    let events = Cell::new(0);
    let began = Instant::now();
    let config = Config {
        cases: cases(),
        source_file: Some(file!()),
        ..Config::default()
    };
    let ending = std::cell::RefCell::new(&mut ending);
    let explored = TestRunner::new(config).run(&(a_plan(), vec(any::<u16>(), 0..260)), |(plan, choices)| {
        let mut world = World::new(plan, choices);
        world.play();
        (ending.borrow_mut())(&mut world);
        if !world.ends() {
            return Err(TestCaseError::fail("steps are left"));
        }
        let outcome = world.run.ended.as_ref().map(|ended| ended.outcome);
        let outcome = outcome.ok_or_else(|| TestCaseError::fail("no end"))?;
        let count = &ends[outcome as usize];
        count.set(count.get() + 1);
        events.set(events.get() + world.run.seq);
        Ok(())
    });
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{name}: {} schedules, {} events in {seconds:.1} s: {:.0} schedules/s; outcomes {ends:?}",
        cases(),
        events.get(),
        f64::from(cases()) / seconds
    );
    if let Err(error) = explored {
        panic!("{error}");
    }
    for outcome in [
        RunOutcome::Succeeded,
        RunOutcome::Degraded,
        RunOutcome::Cancelled,
        RunOutcome::Failed,
    ] {
        assert!(ends[outcome as usize].get() > 0, "the schedules reach {outcome}");
    }
}

/// Whatever happened before: once reports stop failing, every run ends.
#[test]
fn every_run_ends_in_a_kind_world() {
    explore("kind", World::be_kind);
}

/// Whatever happened before: if nobody answers any more, time alone ends every run.
#[test]
fn every_run_ends_in_silence() {
    explore("silent", World::be_silent);
}
