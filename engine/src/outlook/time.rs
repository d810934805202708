//! The longest that a run can take: along the graph, each step with all its tries and items.

use std::collections::BTreeMap;

use types::{IfLost, Millis, limits};
use workflow::{Plan, PlanStep};

use super::view::{FanOutlook, StepOutlook};

/// The longest, and along which steps.
pub(super) struct Longest {
    pub(super) worst_ms: Millis,
    pub(super) path: Vec<String>,
    pub(super) lost_ms: Millis,
}

/// One try: waiting for an agent, its services getting ready, its own time, and its end when that is over, and theirs.
fn one_try(plan: &PlanStep) -> Millis {
    let services = plan.body.services();
    let ready = services.and_then(|all| {
        all.values()
            .filter_map(|one| Some(one.ready.as_ref()?.timeout_ms))
            .max()
    });
    let graces = if services.is_some_and(|all| !all.is_empty()) {
        2
    } else {
        1
    };
    let ending = plan
        .timeout_ms
        .saturating_add(plan.grace_ms.saturating_mul(graces));
    let before = plan.pickup_ms.saturating_add(ready.unwrap_or(0));
    before.saturating_add(ending)
}

/// The delays before all tries but the first.
pub(super) fn delays(plan: &PlanStep) -> Millis {
    let delays = (1..=plan.retry.limit).map(|n| plan.retry.delay_ms(n));
    delays.fold(0, Millis::saturating_add)
}

/// One item with all its tries, without lost agents.
fn one_item(plan: &PlanStep) -> Millis {
    let tries = Millis::from(plan.retry.limit).saturating_add(1);
    one_try(plan).saturating_mul(tries).saturating_add(delays(plan))
}

/// What lost agents add to one item. An attempt that was taken and never began is overdue a `pickup` later than others.
fn lost(plan: &PlanStep) -> Millis {
    let until_lost = [plan.pickup_ms, plan.disconnect_ms, limits::LEASE_MARGIN_MS];
    let until_lost = until_lost.into_iter().fold(0, Millis::saturating_add);
    let reruns = Millis::from(limits::RERUNS);
    match plan.if_lost {
        IfLost::Fail => until_lost,
        IfLost::Ask => until_lost.saturating_add(plan.ask_ms),
        IfLost::Rerun => until_lost
            .saturating_mul(reruns + 1)
            .saturating_add(one_try(plan).saturating_mul(reruns)),
    }
}

/// How many items come one after the other at worst.
fn rounds(fan_out: Option<&FanOutlook>) -> Millis {
    match fan_out {
        None => 1,
        Some(FanOutlook::Each {
            most, max_parallel, ..
        }) => {
            let at_once = max_parallel.map_or(usize::MAX, |n| n.max(1) as usize);
            most.div_ceil(at_once.min(limits::ITEMS)) as Millis
        }
        // One batch may be at work when the last item lands; what has landed by then is the last batch.
        Some(FanOutlook::Follow { .. }) => 2,
    }
}

/// A step from when it is ready, or for a follower from when all it follows is over.
pub(super) fn of_step(plan: &PlanStep, fan_out: Option<&FanOutlook>) -> Millis {
    one_item(plan).saturating_mul(rounds(fan_out))
}

pub(super) fn time(plan: &Plan, steps: &[StepOutlook]) -> Longest {
    let by_key: BTreeMap<&str, usize> = steps
        .iter()
        .enumerate()
        .map(|(i, s)| (s.name.as_str(), i))
        .collect();
    let mut ends: Vec<(Millis, Millis, Option<usize>)> = vec![(0, 0, None); steps.len()];
    for key in plan.order() {
        let Some(&i) = by_key.get(key) else { continue };
        let (step, plan) = (&steps[i], &plan.steps[i]);
        let (mut ready, mut ready_lost, mut after) = (0, 0, None);
        for need in step
            .depends
            .iter()
            .filter_map(|need| by_key.get(need.as_str()).copied())
        {
            if after.is_none() || ends[need].0 > ready {
                (ready, after) = (ends[need].0, Some(need));
            }
            ready_lost = ready_lost.max(ends[need].1);
        }
        let lost = if step.skipped {
            0
        } else {
            lost(plan).saturating_mul(rounds(step.fan_out.as_ref()))
        };
        let end = ready.saturating_add(step.worst_case_ms);
        let end_lost = ready_lost.saturating_add(step.worst_case_ms).saturating_add(lost);
        ends[i] = (end, end_lost, after);
    }
    let last = (0..ends.len()).max_by_key(|&i| (ends[i].0, std::cmp::Reverse(i)));
    let mut path = Vec::new();
    let mut at = last;
    while let Some(i) = at {
        path.push(steps[i].name.clone());
        at = ends[i].2;
    }
    path.reverse();
    Longest {
        worst_ms: last.map_or(0, |i| ends[i].0),
        lost_ms: ends.iter().map(|end| end.1).max().unwrap_or(0),
        path,
    }
}
