//! The fold. It is total: an event that does not fit (of a step that the plan does not have) changes nothing.

use serde_json::Value;
use types::{AttemptReport, StepOutcome, Timestamp, Verdict};

use super::{LiveEnd, LiveItem, LiveRun, LiveState, LiveStep};
use crate::{At, Body, Event, PlanHead};

impl LiveRun {
    /// Folds the next event.
    pub fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        let now = event.at;
        match &event.body {
            Body::RunStarted { run, plan, .. } => self.start(run.as_str(), plan, now),
            Body::ItemReused {
                step,
                value,
                outcome,
                reasons,
                ..
            } => {
                self.begin(step, Vec::new(), now);
                if let Some(step) = self.step_mut(step) {
                    let mut item = LiveItem::new(value.as_ref().and_then(label));
                    item.state = LiveState::Ended(*outcome);
                    item.reasons.clone_from(reasons);
                    step.items.push(item);
                }
            }
            Body::StepReused {
                step,
                from,
                outcome,
                reasons,
            } => {
                self.end(step, *outcome, reasons, now);
                if let Some(step) = self.step_mut(step) {
                    step.reused_from = Some(from.to_string());
                }
            }
            Body::StepSkipped { step } => self.end(step, StepOutcome::Skipped, &[], now),
            Body::StepOmitted { step, because, ended } => {
                let reason = format!("{because} {ended}");
                self.end(step, StepOutcome::Omitted, &[reason], now);
            }
            Body::StepNotRun { step } => self.end(step, StepOutcome::NotRun, &[], now),
            Body::StepEnded {
                step,
                outcome,
                reasons,
            } => self.end(step, *outcome, reasons, now),
            Body::StepFannedOut { step, items } => {
                let items = items.iter().map(|value| LiveItem::new(label(value))).collect();
                self.begin(step, items, now);
            }
            Body::StepFollowing { step } => self.begin(step, Vec::new(), now),
            Body::StepBatch { step, of, .. } => {
                let label = format!("{} landed", of.len());
                if let Some(step) = self.step_mut(step) {
                    step.items.push(LiveItem::new(Some(label)));
                }
            }
            Body::ItemRefused { step, index, failure } => {
                if index.is_none() {
                    self.begin(step, vec![LiveItem::new(None)], now);
                }
                if let Some(item) = self.item(step, *index) {
                    item.state = LiveState::Ended(StepOutcome::Failed);
                    item.reasons = vec![failure.message.clone()];
                }
            }
            Body::ItemEnded {
                step,
                index,
                outcome,
                reasons,
            } => {
                if let Some(item) = self.item(step, Some(*index)) {
                    item.state = LiveState::Ended(*outcome);
                    item.reasons.clone_from(reasons);
                }
            }
            Body::CancelRequested { by, reason } => self.cancel = Some((by.clone(), reason.clone())),
            Body::RunEnded { outcome, reasons } => {
                self.ended = Some(LiveEnd {
                    outcome: *outcome,
                    reasons: reasons.clone(),
                    at: now,
                });
            }
            attempt => self.attempt(attempt, now),
        }
    }

    fn start(&mut self, run: &str, plan: &PlanHead, now: Timestamp) {
        self.id = run.to_owned();
        self.workflow.clone_from(&plan.name);
        self.started_at = Some(now);
        let steps = plan.steps.iter().map(|step| LiveStep {
            key: step.key.clone(),
            what: step.what(),
            needs: step.needs.clone(),
            fans_out: step.fan_out.is_some(),
            state: LiveState::Waiting,
            items: Vec::new(),
            started_at: None,
            ended_at: None,
            reasons: Vec::new(),
            reused_from: None,
        });
        self.steps = steps.collect();
        let places = self.steps.iter().enumerate();
        self.places = places.map(|(place, step)| (step.key.clone(), place)).collect();
    }

    fn step_mut(&mut self, key: &str) -> Option<&mut LiveStep> {
        self.steps.get_mut(*self.places.get(key)?)
    }

    fn item(&mut self, step: &str, index: Option<u32>) -> Option<&mut LiveItem> {
        self.step_mut(step)?.items.get_mut(index.unwrap_or(0) as usize)
    }

    fn begin(&mut self, key: &str, items: Vec<LiveItem>, now: Timestamp) {
        if let Some(step) = self.step_mut(key)
            && step.started_at.is_none()
        {
            step.started_at = Some(now);
            step.state = LiveState::Running;
            step.items = items;
        }
    }

    fn end(&mut self, key: &str, outcome: StepOutcome, reasons: &[String], now: Timestamp) {
        let Some(step) = self.step_mut(key) else { return };
        step.state = LiveState::Ended(outcome);
        step.reasons = reasons.to_vec();
        step.ended_at = Some(now);
        let alone = !step.fans_out;
        for item in step
            .items
            .iter_mut()
            .filter(|item| alone || !item.state.is_over())
        {
            item.state = LiveState::Ended(outcome);
        }
    }

    fn attempt(&mut self, body: &Body, now: Timestamp) {
        let (at, state) = match body {
            Body::AttemptQueued { at } => {
                if at.index.is_none() {
                    self.begin(&at.step, vec![LiveItem::new(None)], now);
                }
                (at, LiveState::Queued)
            }
            Body::AttemptOffered { at, .. } => (at, LiveState::Offered),
            Body::AttemptReturned { at, .. } => (at, LiveState::Queued),
            Body::AttemptStarted { at } => (at, LiveState::Running),
            Body::AttemptFinished { at, report } => (at, LiveState::Ended(outcome_of(&report.verdict))),
            Body::AttemptLost { at } => (at, LiveState::InDoubt),
            Body::AttemptSettled { at, resolution, .. } => (at, settled(resolution)),
            Body::AttemptWithdrawn { at } => (at, LiveState::Ended(StepOutcome::Cancelled)),
            Body::AttemptStopping { at } => (at, LiveState::Stopping),
            Body::AttemptNotPlaced { at, .. } => (at, LiveState::Ended(StepOutcome::Failed)),
            Body::RetryScheduled { at, .. } => (at, LiveState::RetryWait),
            _ => return,
        };
        if let Some(item) = self.item(&at.step, at.index) {
            item.state = state;
            describe(item, at, body, now);
        }
        if let Some(step) = self.step_mut(&at.step)
            && !step.state.is_over()
        {
            step.state = state_of(step);
        }
    }
}

/// Why an item in doubt stands still.
const IN_DOUBT: &str = "may have run, and nobody knows how it ended";

fn describe(item: &mut LiveItem, at: &At, body: &Body, now: Timestamp) {
    item.attempt = at.attempt;
    item.retry_at = match body {
        Body::RetryScheduled { due, .. } => Some(*due),
        _ => None,
    };
    match body {
        Body::AttemptQueued { .. } => {
            (item.started_at, item.duration_ms) = (None, None);
            item.reasons.clear();
        }
        Body::AttemptOffered { placement, .. } => item.agent = Some(placement.agent_name.clone()),
        Body::AttemptReturned { .. } => {
            item.agent = None;
            item.reasons.clear();
        }
        Body::AttemptStarted { .. } => {
            item.started_at = Some(now);
            item.reasons.clear();
        }
        Body::AttemptLost { .. } => item.reasons = vec![IN_DOUBT.to_owned()],
        Body::AttemptSettled { resolution, by, .. } => {
            item.reasons = vec![format!("decided as {resolution} by {by}")];
        }
        Body::AttemptFinished { report, .. } => {
            item.duration_ms = Some(report.usage.duration_ms);
            item.reasons = why(report);
        }
        Body::AttemptNotPlaced { reason, .. } => item.reasons = vec![reason.clone()],
        _ => {}
    }
}

/// A step shows what the furthest of its open items does: a running one before a waiting one, doubt before all.
fn state_of(step: &LiveStep) -> LiveState {
    use LiveState as S;
    let has = |wanted: S| step.items.iter().any(|item| item.state == wanted);
    let order = [
        S::InDoubt,
        S::Stopping,
        S::Running,
        S::Offered,
        S::RetryWait,
        S::Queued,
    ];
    order.into_iter().find(|state| has(*state)).unwrap_or(S::Running)
}

fn outcome_of(verdict: &Verdict) -> StepOutcome {
    match verdict {
        Verdict::Succeeded => StepOutcome::Succeeded,
        Verdict::Degraded { .. } => StepOutcome::Degraded,
        Verdict::Failed { .. } => StepOutcome::Failed,
        Verdict::Cancelled { .. } => StepOutcome::Cancelled,
    }
}

fn settled(resolution: &str) -> LiveState {
    match resolution {
        "rerun" => LiveState::Queued,
        "succeeded" => LiveState::Ended(StepOutcome::Succeeded),
        _ => LiveState::Ended(StepOutcome::Failed),
    }
}

/// Why a report is no success, in its own words.
fn why(report: &AttemptReport) -> Vec<String> {
    match &report.verdict {
        Verdict::Succeeded => Vec::new(),
        Verdict::Degraded { reasons } => reasons.clone(),
        Verdict::Failed { failure } => vec![failure.message.clone()],
        Verdict::Cancelled { confirmed: true } => vec!["stopped".to_owned()],
        Verdict::Cancelled { confirmed: false } => vec!["stopped; its end was not seen".to_owned()],
    }
}

fn label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
