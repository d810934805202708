//! The fold: events to state. Live work and replay both come through here.

use std::sync::Arc;

use protocol::server;
use types::{StepOutcome, Timestamp};

use crate::{
    Attempt, AttemptQueued, Cancel, Ended, Event, Item, ItemEnd, ItemReused, Lease, Life, Phase, Run, Step,
    StepReused, Taken,
};

impl Run {
    /// Folds an event. One that does not fit changes nothing but the count: `decide` never makes one.
    pub fn evolve(&mut self, event: &Event, now: Timestamp) {
        self.seq += 1;
        match event {
            Event::RunStarted(_) => {}
            Event::ItemReused(item) => self.fold_item_reused(item, now),
            Event::StepReused(reused) => self.fold_step_reused(reused, now),
            Event::StepSkipped { step } => self.end_step(step, StepOutcome::Skipped, now),
            Event::StepNotRun { step } => self.end_step(step, StepOutcome::NotRun, now),
            Event::StepOmitted { step, because, .. } => {
                self.end_step(step, StepOutcome::Omitted, now);
                if let Some(step) = self.step_mut(step) {
                    step.omitted_because = Some(because.clone());
                }
            }
            Event::StepFannedOut { step, items } => {
                let items = items
                    .iter()
                    .map(|v| Item {
                        value: Some(v.clone()),
                        ..Item::default()
                    })
                    .collect();
                self.begin(step, items, now);
            }
            Event::StepFollowing { step } => self.begin(step, Vec::new(), now),
            Event::StepBatch { step, of, .. } => self.fold_batch(step, of),
            Event::ItemRefused { step, index, failure } => {
                if index.is_none() {
                    self.begin(step, vec![Item::default()], now);
                }
                if let Some(item) = self.item_mut(step, *index) {
                    item.retry_at = None;
                    item.refused = Some(failure.clone());
                }
            }
            Event::AttemptQueued(queued) => self.fold_queued(queued, now),
            Event::ArtifactStored { at, artifact, .. } => {
                if let Some(attempt) = self.attempt_mut(at) {
                    attempt.artifacts.push(artifact.clone());
                }
            }
            Event::RetryScheduled { at, due } => {
                if let Some(item) = self.item_mut(&at.step, at.index) {
                    item.retry_at = Some(*due);
                }
            }
            Event::ItemEnded {
                step,
                index,
                outcome,
                reasons,
            } => {
                let end = ItemEnd {
                    outcome: *outcome,
                    reasons: reasons.clone(),
                    at: now,
                };
                if let Some(item) = self.item_mut(step, Some(*index)) {
                    item.retry_at = None;
                    item.ended = Some(end);
                }
            }
            Event::StepEnded {
                step,
                outcome,
                allowed,
                reasons,
            } => {
                self.end_step(step, *outcome, now);
                if let Some(step) = self.step_mut(step) {
                    step.allowed = *allowed;
                    step.reasons.clone_from(reasons);
                }
            }
            Event::CancelRequested { by, reason, spared } => {
                self.cancel = Some(Cancel {
                    by: by.clone(),
                    reason: reason.clone(),
                    at: now,
                });
                for &i in &self.active {
                    self.steps[i].stopping = !spared.contains(&self.plan.steps[i].key);
                }
            }
            Event::RunEnded { outcome, reasons } => {
                self.ended = Some(Ended {
                    outcome: *outcome,
                    reasons: reasons.clone(),
                    at: now,
                });
            }
            Event::ReportIgnored {
                at,
                token,
                agent,
                report,
                ..
            } => {
                self.ignored
                    .insert((at.clone(), token.clone(), agent.clone(), *report));
            }
            attempt => self.fold_attempt(attempt, now),
        }
    }

    fn step_mut(&mut self, key: &str) -> Option<&mut Step> {
        let i = self.position(key)?;
        Some(&mut self.steps[i])
    }

    fn begin(&mut self, key: &str, items: Vec<Item>, now: Timestamp) {
        let Some(i) = self.position(key) else { return };
        if self.steps[i].phase == Phase::Waiting {
            self.steps[i].phase = Phase::Active;
            self.steps[i].started_at = Some(now);
            self.steps[i].items = items;
            self.active.insert(i);
        }
    }

    fn end_step(&mut self, key: &str, outcome: StepOutcome, now: Timestamp) {
        let Some(i) = self.position(key) else { return };
        if !matches!(self.steps[i].phase, Phase::Ended(_)) {
            self.open -= 1;
        }
        self.active.remove(&i);
        self.steps[i].phase = Phase::Ended(outcome);
        self.steps[i].ended_at = Some(now);
        for item in &mut self.steps[i].items {
            item.retry_at = None;
        }
    }

    fn fold_item_reused(&mut self, reused: &ItemReused, now: Timestamp) {
        self.begin(&reused.step, Vec::new(), now);
        if let Some(step) = self.step_mut(&reused.step) {
            step.items.push(Item {
                value: reused.value.clone(),
                batch: reused.batch.clone(),
                taken: Some(Taken {
                    outputs: reused.outputs.clone(),
                    artifacts: reused.artifacts.clone(),
                    attempts: reused.attempts,
                    agent: reused.agent.clone(),
                    agent_name: reused.agent_name.clone(),
                }),
                // A step without a fan-out ends itself; its one item never says so.
                ended: reused.index.map(|_| ItemEnd {
                    outcome: reused.outcome,
                    reasons: reused.reasons.clone(),
                    at: now,
                }),
                ..Item::default()
            });
        }
    }

    fn fold_step_reused(&mut self, reused: &StepReused, now: Timestamp) {
        if reused.began {
            self.begin(&reused.step, Vec::new(), now);
        }
        self.end_step(&reused.step, reused.outcome, now);
        if let Some(step) = self.step_mut(&reused.step) {
            step.allowed = reused.allowed;
            step.reasons.clone_from(&reused.reasons);
            step.omitted_because.clone_from(&reused.omitted_because);
            step.reused_from = Some(reused.from.clone());
        }
    }

    fn fold_batch(&mut self, key: &str, of: &[(String, u32)]) {
        let consumed: Vec<(usize, u32)> = of
            .iter()
            .filter_map(|(k, n)| Some((self.position(k)?, *n)))
            .collect();
        if let Some(step) = self.step_mut(key) {
            step.consumed.extend(consumed);
            step.items.push(Item {
                batch: of.to_vec(),
                ..Item::default()
            });
        }
    }

    fn fold_queued(&mut self, queued: &AttemptQueued, now: Timestamp) {
        let at = &queued.at;
        if at.index.is_none() {
            self.begin(&at.step, vec![Item::default()], now);
        }
        let Some(item) = self.item_mut(&at.step, at.index) else {
            return;
        };
        item.retry_at = None;
        let crashes = item.attempts.last().map(|last| last.crashes.clone());
        item.attempts.push(Attempt {
            life: Life::default(),
            work: Arc::new(queued.work.clone()),
            runs_on: queued.runs_on.clone(),
            connection: queued.connection.clone(),
            pickup_by: queued.pickup_by,
            queued_at: now,
            offered_at: None,
            agent_name: None,
            started_at: None,
            ended_at: None,
            stopping_at: None,
            returns: 0,
            crashes: crashes.unwrap_or_default(),
            lost_at: None,
            artifacts: Vec::new(),
            report: None,
            not_placed: None,
        });
    }

    fn fold_attempt(&mut self, event: &Event, now: Timestamp) {
        use server::Event as L;
        let (at, life) = match event {
            Event::AttemptOffered { at, placement } => {
                let lease = Lease {
                    token: placement.token.clone(),
                    agent: placement.agent.clone(),
                    session: placement.session.clone(),
                };
                (at, L::Offered { lease })
            }
            Event::AttemptReturned { at, because, .. } => (at, L::Returned { because: *because }),
            Event::AttemptAccepted { at, .. } => (at, L::Accepted),
            Event::AttemptStarted { at, .. } => (at, L::Started),
            Event::AttemptFinished { at, .. } => (at, L::Finished),
            Event::AttemptLost {
                at, known, because, ..
            } => (
                at,
                L::Lost {
                    known: *known,
                    because: *because,
                },
            ),
            Event::AttemptSettled { at, resolution, .. } => (
                at,
                L::Settled {
                    resolution: *resolution,
                },
            ),
            Event::AttemptWithdrawn { at } | Event::AttemptNotPlaced { at, .. } => (at, L::Withdrawn),
            Event::AttemptStopping { at } => (at, L::StopRequested),
            _ => return,
        };
        let Some(attempt) = self.attempt_mut(at) else {
            return;
        };
        let agent = attempt.life.lease().map(|lease| lease.agent.clone());
        attempt.life.apply(&life);
        if attempt.life.is_over() {
            attempt.ended_at = Some(now);
        }
        match event {
            Event::AttemptOffered { placement, .. } => {
                attempt.offered_at = Some(now);
                attempt.agent_name = Some(placement.agent_name.clone());
            }
            Event::AttemptReturned {
                because,
                agent_crashes,
                ..
            } => {
                if let Some(agent) = agent {
                    let name = attempt.agent_name.clone().unwrap_or_default();
                    attempt.crashes.note(agent, name, *agent_crashes);
                }
                // A decline is part of the wait for an agent; the time that an agent had it in hand is not.
                if *because != server::Returned::Declined {
                    let away = attempt.offered_at.map_or(0, |from| now.since(from));
                    attempt.pickup_by = attempt.pickup_by.plus(away);
                }
                attempt.returns += 1;
                attempt.agent_name = None;
                attempt.lost_at = None;
            }
            Event::AttemptStarted { .. } => attempt.started_at = Some(now),
            Event::AttemptFinished { report, .. } => {
                attempt.started_at = attempt.started_at.or(Some(now));
                attempt.report = Some(Arc::new(report.as_ref().clone()));
            }
            Event::AttemptStopping { .. } => attempt.stopping_at = Some(now),
            Event::AttemptLost { .. } => attempt.lost_at = attempt.lost_at.or(Some(now)),
            Event::AttemptNotPlaced { reason, .. } => attempt.not_placed = Some(reason.clone()),
            _ => {}
        }
    }
}
