//! Where a run could wait, beside its steps' needs.

use types::{Catalogue, Effect, FailureKind, IfLost, Millis, limits};
use workflow::{Body, Plan, PlanStep};

use super::{
    time,
    view::{FanOutlook, StepOutlook, Wait, WaitKind},
};

pub(super) fn waits(plan: &Plan, catalogue: &Catalogue, steps: &[StepOutlook]) -> Vec<Wait> {
    let pairs = plan.steps.iter().zip(steps).filter(|(_, step)| !step.skipped);
    pairs
        .flat_map(|(plan, step)| of_step(plan, catalogue, step))
        .collect()
}

fn of_step(plan: &PlanStep, catalogue: &Catalogue, step: &StepOutlook) -> Vec<Wait> {
    let tries = Millis::from(step.attempts);
    let retries = Millis::from(plan.retry.limit);
    let mut waits = Vec::new();
    let mut add = |what: WaitKind, most_ms: Millis| {
        if most_ms > 0 {
            waits.push(Wait {
                step: step.name.clone(),
                what,
                most_ms,
            });
        }
    };
    add(WaitKind::Agent, plan.pickup_ms.saturating_mul(tries));
    add(WaitKind::Retry, time::delays(plan));
    let vendor = match &plan.body {
        Body::Action { action, .. } => catalogue
            .get(action)
            .is_none_or(|known| known.effect != Effect::None),
        Body::Container { .. } => false,
    };
    if vendor && plan.retry.covers(FailureKind::RateLimited, None) {
        add(
            WaitKind::RateLimit,
            limits::TIMEOUT_MAX_MS.saturating_mul(retries),
        );
    }
    match &step.fan_out {
        Some(FanOutlook::Each {
            most,
            max_parallel: Some(at_once),
            ..
        }) if *most > *at_once as usize => {
            let own = step.worst_case_ms / (*most).div_ceil((*at_once).max(1) as usize).max(1) as Millis;
            add(WaitKind::Turn, step.worst_case_ms.saturating_sub(own));
        }
        Some(FanOutlook::Follow { gather_ms, .. }) => add(WaitKind::Batch, *gather_ms),
        Some(FanOutlook::Each { .. }) | None => {}
    }
    add(
        WaitKind::Lease,
        plan.disconnect_ms.saturating_add(limits::LEASE_MARGIN_MS),
    );
    if plan.if_lost == IfLost::Ask {
        add(WaitKind::Verdict, plan.ask_ms);
    }
    waits
}
