//! The run's own record: what `run` is in expressions, and what a summary folds.

use protocol::server::State;
use types::{AttemptRecord, RunRecord, StepRecord, Timestamp, Verdict};

use crate::{Attempt, Phase, Run, Step, state::at_of};

impl Run {
    /// The record as of now.
    #[must_use]
    pub fn record(&self, now: Timestamp) -> RunRecord {
        let (outcome, reasons) = match &self.ended {
            Some(ended) => (ended.outcome, ended.reasons.clone()),
            None => self.outcome_so_far(),
        };
        RunRecord {
            id: self.id.to_string(),
            workflow: self.plan.name.clone(),
            started_at: self.started_at,
            elapsed_ms: self.elapsed(now),
            outcome: outcome.as_str().to_owned(),
            reasons: reasons.into_iter().map(|reason| reason.message).collect(),
            steps: (0..self.steps.len()).map(|i| self.step_record(i, now)).collect(),
        }
    }

    /// A fan-out's items as `steps.s.items` shows them.
    #[must_use]
    pub fn items(&self, i: usize) -> Vec<types::Value> {
        let items = 0..u32::try_from(self.steps[i].items.len()).unwrap_or(u32::MAX);
        items
            .filter_map(|n| self.item_value(&self.plan.steps[i].key, n))
            .collect()
    }

    fn step_record(&self, i: usize, now: Timestamp) -> StepRecord {
        let (plan, step) = (&self.plan.steps[i], &self.steps[i]);
        let attempts = step.items.iter().enumerate().flat_map(|(n, item)| {
            item.attempts
                .iter()
                .enumerate()
                .map(move |(a, attempt)| AttemptRecord {
                    index: at_of(plan, n, a + 1).index,
                    attempt: u32::try_from(a + 1).unwrap_or(u32::MAX),
                    agent: attempt.agent_name.clone(),
                    outcome: attempt.word().to_owned(),
                    duration_ms: attempt.report.as_ref().map(|report| report.usage.duration_ms),
                })
        });
        StepRecord {
            key: plan.key.clone(),
            outcome: step.word().to_owned(),
            reasons: step.reasons.clone(),
            duration_ms: step
                .started_at
                .map(|from| step.ended_at.unwrap_or(now).since(from)),
            attempts: attempts.collect(),
        }
    }
}

impl Step {
    /// The word for where it is: an outcome, or `waiting`, `queued`, `running`, `in_doubt`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.phase {
            Phase::Waiting => "waiting",
            Phase::Ended(outcome) => outcome.as_str(),
            Phase::Active => {
                let any = |is: fn(&Attempt) -> bool| {
                    let mut last = self.items.iter().filter_map(|item| item.attempts.last());
                    last.any(is)
                };
                if any(|attempt| matches!(attempt.life.state(), State::Lost { .. })) {
                    "in_doubt"
                } else if any(|attempt| matches!(attempt.life.state(), State::Queued))
                    && !any(|attempt| matches!(attempt.life.state(), State::Out { .. }))
                {
                    // No agent has any of it: it only waits for one.
                    "queued"
                } else {
                    "running"
                }
            }
        }
    }
}

impl Attempt {
    /// Whether it was lost and another took its place, where there is another.
    pub(crate) fn was_lost(&self) -> bool {
        use protocol::Resolution;
        match self.life.state() {
            State::Settled { resolution, .. } => *resolution == Resolution::Rerun,
            State::Finished { .. } => matches!(
                self.report.as_ref().map(|report| &report.verdict),
                Some(Verdict::Cancelled { .. })
            ),
            _ => false,
        }
    }

    /// The word for where it is.
    #[must_use]
    pub fn word(&self) -> &'static str {
        use protocol::{Resolution, server::Known};
        match self.life.state() {
            State::Queued => "queued",
            State::Out {
                known: Known::Offered,
                ..
            } => "offered",
            State::Out {
                known: Known::Accepted,
                ..
            } => "accepted",
            State::Out {
                known: Known::Started,
                ..
            } => "running",
            State::Lost { .. } => "in_doubt",
            State::Withdrawn if self.not_placed.is_some() => "failed",
            State::Withdrawn => "cancelled",
            State::Settled {
                resolution: Resolution::Succeeded,
                ..
            } => "succeeded",
            State::Settled { .. } => "failed",
            State::Finished { .. } => match self.report.as_ref().map(|report| &report.verdict) {
                Some(Verdict::Succeeded) => "succeeded",
                Some(Verdict::Degraded { .. }) => "degraded",
                Some(Verdict::Cancelled { .. }) => "cancelled",
                Some(Verdict::Failed { .. }) | None => "failed",
            },
        }
    }
}
