//! How attempts end items, items end steps, and steps end the run.

use std::fmt;

use protocol::{Resolution, server::State};
use types::{Failure, FailureKind, IfLost, RunOutcome, StepOutcome, Value, Verdict, limits};

use crate::{At, Event, Phase, Reason, Run, decide::Decider, outputs::at_most, state::at_of};

/// Reasons of one run.
const REASONS_MAX: usize = 256;

/// Who settled an attempt in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    IfLost,
    NoAnswer,
    Cancel,
    Person(String),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IfLost => "if-lost",
            Self::NoAnswer => "if-lost: ask, nobody answered in time",
            Self::Cancel => "cancel",
            Self::Person(name) => name,
        })
    }
}

impl Decider<'_> {
    /// An attempt is over by a report or before it began: its item ends, or is tried again.
    pub(crate) fn after_attempt(&mut self, at: &At) {
        self.mark(&at.step);
        let Some(attempt) = self.run.attempt(at) else {
            return;
        };
        match attempt.life.state() {
            State::Withdrawn => match &attempt.not_placed {
                Some(reason) => self.failed(at, Failure::new(FailureKind::NotPlaced, reason.clone())),
                None => self.end_item(at, StepOutcome::Cancelled, Vec::new()),
            },
            State::Finished { .. } => {
                let stopping = attempt.life.is_stopping();
                let verdict = attempt.report.as_ref().map(|report| report.verdict.clone());
                self.after_verdict(at, verdict, stopping);
            }
            // Those in doubt go on by `after_doubt`.
            State::Queued | State::Out { .. } | State::Lost { .. } | State::Settled { .. } => {}
        }
    }

    fn after_verdict(&mut self, at: &At, verdict: Option<Verdict>, stopping: bool) {
        match verdict {
            Some(Verdict::Succeeded) => self.end_item(at, StepOutcome::Succeeded, Vec::new()),
            Some(Verdict::Degraded { reasons }) => self.end_item(at, StepOutcome::Degraded, reasons),
            Some(Verdict::Failed { failure }) => self.failed(at, failure),
            Some(Verdict::Cancelled { confirmed }) if stopping => {
                let doubt = (!confirmed).then(|| "kill unconfirmed".to_owned());
                self.end_item(at, StepOutcome::Cancelled, doubt.into_iter().collect());
            }
            // Nobody asked for it: the agent ended it at its lease's end, so it counts as lost.
            Some(Verdict::Cancelled { .. }) if self.may_rerun(at) => self.queue_again(at),
            Some(Verdict::Cancelled { .. }) => self.failed(
                at,
                Failure::new(
                    FailureKind::Lost,
                    "ended by its agent: its lease was over before the server was heard again",
                ),
            ),
            None => self.failed(
                at,
                Failure::new(FailureKind::Internal, "finished without a report"),
            ),
        }
    }

    fn may_rerun(&self, at: &At) -> bool {
        self.run
            .step(&at.step)
            .is_some_and(|(plan, _)| plan.if_lost == IfLost::Rerun)
            && self.reruns(at) < limits::RERUNS
    }

    /// An attempt in doubt is settled.
    pub(crate) fn after_doubt(&mut self, at: &At, resolution: Resolution, by: &By) {
        self.mark(&at.step);
        let lost = |message: &str| Failure::new(FailureKind::Lost, message);
        match (resolution, by) {
            (Resolution::Succeeded, _) => self.end_item(at, StepOutcome::Succeeded, Vec::new()),
            (Resolution::Rerun, _) => self.queue_again(at),
            (Resolution::Fail, By::Cancel) => {
                let doubt = "kill unconfirmed: its agent did not answer; it may still run";
                self.end_item(at, StepOutcome::Cancelled, vec![doubt.to_owned()]);
            }
            (Resolution::Fail, By::Person(name)) => {
                let message = format!("declared failed by {name}: may have run");
                self.failed(at, Failure::new(FailureKind::Resolved, message));
            }
            (Resolution::Fail, By::NoAnswer) => {
                self.failed(at, lost("lost: may have run; nobody said how it ended"));
            }
            (Resolution::Fail, By::IfLost) => self.failed(at, lost("lost: may have run")),
        }
    }

    fn failed(&mut self, at: &At, failure: Failure) {
        let Some((plan, step)) = self.run.step(&at.step) else {
            return;
        };
        // Lost attempts have a budget of their own.
        let used = at.attempt.saturating_sub(1).saturating_sub(self.reruns(at));
        let stopping = step.stopping;
        if used < plan.retry.limit && !stopping && plan.retry.covers(failure.kind, failure.exit_code) {
            let wanted = plan.retry.delay_ms(used + 1);
            let delay = if plan.retry.jitter {
                jitter(wanted, self.context.entropy, at)
            } else {
                wanted
            };
            let delay = delay
                .max(failure.retry_after_ms.unwrap_or(0))
                .min(limits::TIMEOUT_MAX_MS);
            self.emit(Event::RetryScheduled {
                at: at.clone(),
                due: self.now().plus(delay),
            });
        } else {
            self.end_item(at, StepOutcome::Failed, vec![failure.message]);
        }
    }

    /// An item's end. A step without a fan-out ends with its one item.
    pub(crate) fn end_item(&mut self, at: &At, outcome: StepOutcome, reasons: Vec<String>) {
        self.mark(&at.step);
        match at.index {
            Some(index) => {
                // Those who follow it take it as it lands.
                if let Some(i) = self.run.position(&at.step) {
                    self.dirty.extend(self.run.graph.dependents[i].iter().copied());
                }
                self.emit(Event::ItemEnded {
                    step: at.step.clone(),
                    index,
                    outcome,
                    reasons,
                });
            }
            None => self.end_step(&at.step, outcome, reasons),
        }
    }

    pub(crate) fn end_step(&mut self, key: &str, outcome: StepOutcome, reasons: Vec<String>) {
        let allowed =
            outcome == StepOutcome::Failed && self.run.step(key).is_some_and(|(plan, _)| plan.allow_failure);
        self.emit(Event::StepEnded {
            step: key.to_owned(),
            outcome,
            allowed,
            reasons,
        });
        self.wake_dependents(key);
    }

    pub(crate) fn wake_dependents(&mut self, key: &str) {
        if let Some(i) = self.run.position(key) {
            self.dirty.extend(self.run.graph.dependents[i].iter().copied());
        }
    }

    /// All items of a fan-out are over; `cut` when a cancel kept others from being made.
    pub(crate) fn join(&mut self, i: usize, cut: bool) {
        let (plan, step) = (&self.run.plan.steps[i], &self.run.steps[i]);
        let mut reasons = Vec::new();
        let (mut failed, mut degraded, mut cancelled) = (0usize, false, cut);
        for item in &step.items {
            let Some(end) = &item.ended else { return };
            match end.outcome {
                StepOutcome::Failed => failed += 1,
                StepOutcome::Degraded => degraded = true,
                StepOutcome::Cancelled => cancelled = true,
                _ => continue,
            }
            let name = item
                .value
                .as_ref()
                .map_or_else(String::new, |value| format!("{}: ", brief(value)));
            reasons.extend(end.reasons.iter().map(|reason| format!("{name}{reason}")));
        }
        let total = step.items.len();
        let outcome = match (failed, cancelled) {
            (0, true) => StepOutcome::Cancelled,
            (0, false) if degraded => StepOutcome::Degraded,
            (0, false) => StepOutcome::Succeeded,
            // Some of a step that may fail: what landed is there, what did not is said.
            (n, false) if plan.allow_failure && n < total => StepOutcome::Degraded,
            (_, true) if plan.allow_failure => StepOutcome::Cancelled,
            _ => StepOutcome::Failed,
        };
        at_most(&mut reasons, limits::REASONS);
        let key = plan.key.clone();
        self.end_step(&key, outcome, reasons);
    }

    /// The run ends when every step has.
    pub(crate) fn end_run(&mut self) {
        if self.run.open == 0 && self.run.ended.is_none() {
            let (outcome, reasons) = self.run.outcome_so_far();
            self.emit(Event::RunEnded { outcome, reasons });
        }
    }
}

impl Run {
    /// The worst of the parts that have ended, with the reasons in the steps' order.
    #[must_use]
    pub fn outcome_so_far(&self) -> (RunOutcome, Vec<Reason>) {
        let mut outcome = RunOutcome::Succeeded;
        let mut reasons = Vec::new();
        if let Some(cancel) = &self.cancel {
            outcome = RunOutcome::Cancelled;
            let why = if cancel.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", cancel.reason)
            };
            reasons.push(Reason {
                step: None,
                message: format!("cancelled by {}{why}", cancel.by),
            });
        }
        for (plan, step) in self.plan.steps.iter().zip(&self.steps) {
            let Phase::Ended(ended) = step.phase else { continue };
            let part = match ended {
                StepOutcome::Failed if step.allowed => RunOutcome::Degraded,
                StepOutcome::Failed => RunOutcome::Failed,
                StepOutcome::Degraded => RunOutcome::Degraded,
                // Without a cancel of its own a run has these from the one that it repeats.
                StepOutcome::Cancelled | StepOutcome::NotRun => RunOutcome::Cancelled,
                StepOutcome::Succeeded | StepOutcome::Skipped | StepOutcome::Omitted => continue,
            };
            outcome = outcome.max(part);
            let of_step = |message: String| Reason {
                step: Some(plan.key.clone()),
                message,
            };
            reasons.extend(step.reasons.iter().cloned().map(of_step));
            if let Some(from) = step.reused_from.as_ref().filter(|_| step.reasons.is_empty()) {
                reasons.push(of_step(format!("{ended} in {from}, and taken over from there")));
            } else if step.reasons.is_empty() && part != RunOutcome::Cancelled {
                reasons.push(of_step(part.as_str().to_owned()));
            }
        }
        if reasons.len() > REASONS_MAX {
            let message = format!("and {} more", reasons.len() - (REASONS_MAX - 1));
            reasons.truncate(REASONS_MAX - 1);
            reasons.push(Reason { step: None, message });
        }
        (outcome, reasons)
    }

    /// Whether a step's items are all over.
    pub(crate) fn all_items_over(&self, i: usize) -> bool {
        self.steps[i].items.iter().all(|item| item.ended.is_some())
    }

    /// How many items have begun and are not over.
    pub(crate) fn items_live(&self, i: usize) -> usize {
        self.steps[i]
            .items
            .iter()
            .filter(|item| item.begun() && item.ended.is_none())
            .count()
    }

    /// The newest attempt's address of an item.
    pub(crate) fn newest(&self, i: usize, n: usize) -> At {
        at_of(&self.plan.steps[i], n, self.steps[i].items[n].attempts.len())
    }
}

/// A value in a reason: short, without line breaks.
fn brief(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(80)
        .collect()
}

/// Full jitter: between 0 and the delay. The mixer is splitmix64 (Steele, Lea, Flood 2014).
fn jitter(delay: u64, entropy: u64, at: &At) -> u64 {
    let salt = at
        .step
        .bytes()
        .fold(u64::from(at.index.unwrap_or(0)) + 1, |acc, b| {
            acc.wrapping_mul(31).wrapping_add(u64::from(b))
        });
    let mut z = entropy.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % delay.saturating_add(1)
}
