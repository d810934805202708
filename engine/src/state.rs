//! A run's state, folded from its events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocol::server;
use types::{
    AgentId, AttemptReport, Failure, LeaseToken, Millis, Object, RunId, RunOutcome, SessionId, StepOutcome,
    Timestamp, Value, Work,
};
use workflow::{FanOut, Plan, PlanStep};

use crate::{At, AttemptQueued, Event, Reason, RunStarted, Trigger};

/// The protocol's machine with our ids.
pub type Life = server::Attempt<LeaseToken, AgentId, SessionId>;
/// Its lease.
pub type Lease = server::Lease<LeaseToken, AgentId, SessionId>;

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its inputs.
    pub inputs: Object,
    /// What started it.
    pub trigger: Trigger,
    /// When it started.
    pub started_at: Timestamp,
    /// Its steps, in the plan's order.
    pub steps: Vec<Step>,
    /// A cancel, once asked for.
    pub cancel: Option<Cancel>,
    /// Its end.
    pub ended: Option<Ended>,
    /// Events folded so far.
    pub seq: u64,
    /// Steps that began and have not ended.
    pub(crate) active: BTreeSet<usize>,
    /// Steps that have not ended.
    pub(crate) open: usize,
    pub(crate) graph: Arc<Graph>,
}

/// What follows from the plan alone.
#[derive(Debug, PartialEq)]
pub(crate) struct Graph {
    pub(crate) by_key: BTreeMap<String, usize>,
    /// Who waits for it or follows it.
    pub(crate) dependents: Vec<Vec<usize>>,
}

/// A cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A run's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub outcome: RunOutcome,
    /// Why not succeeded.
    pub reasons: Vec<Reason>,
    /// When.
    pub at: Timestamp,
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// For its needs.
    Waiting,
    /// Begun.
    Active,
    /// Over.
    Ended(StepOutcome),
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Where it is.
    pub phase: Phase,
    /// Its items; one without a fan-out.
    pub items: Vec<Item>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why not succeeded.
    pub reasons: Vec<String>,
    /// Whether its failure only degrades the run.
    pub allowed: bool,
    /// The need because of which it was omitted.
    pub omitted_because: Option<String>,
    /// A follower's consumed items.
    pub(crate) consumed: BTreeSet<(usize, u32)>,
}

/// An item of a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Item {
    /// Its value, in a `foreach`.
    pub value: Option<Value>,
    /// Whose items it is a batch of, in a follower.
    pub batch: Vec<(String, u32)>,
    /// Its tries.
    pub attempts: Vec<Attempt>,
    /// When the next try is due.
    pub retry_at: Option<Timestamp>,
    /// Why it could not be run at all.
    pub refused: Option<Failure>,
    /// Its end.
    pub ended: Option<ItemEnd>,
}

/// An item's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemEnd {
    /// How.
    pub outcome: StepOutcome,
    /// Why not succeeded.
    pub reasons: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// A try.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its life.
    pub life: Life,
    /// What to do.
    pub work: Arc<Work>,
    /// Labels wanted.
    pub runs_on: BTreeMap<String, String>,
    /// Connection wanted.
    pub connection: Option<String>,
    /// When it fails as not placed.
    pub pickup_by: Timestamp,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When it was offered last.
    pub offered_at: Option<Timestamp>,
    /// The agent's name, where it was offered last.
    pub agent_name: Option<String>,
    /// When it began, as the server heard it.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// When it came into doubt.
    pub lost_at: Option<Timestamp>,
    /// Its report.
    pub report: Option<Arc<AttemptReport>>,
    /// Why nothing took it.
    pub not_placed: Option<String>,
}

impl Step {
    fn new() -> Self {
        Self {
            phase: Phase::Waiting,
            items: Vec::new(),
            started_at: None,
            ended_at: None,
            reasons: Vec::new(),
            allowed: false,
            omitted_because: None,
            consumed: BTreeSet::new(),
        }
    }

    /// How it ended, when it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<StepOutcome> {
        match self.phase {
            Phase::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether the default edge to a step behind it holds.
    #[must_use]
    pub const fn holds(&self) -> bool {
        use StepOutcome as O;
        matches!(self.phase, Phase::Ended(O::Succeeded | O::Degraded | O::Skipped))
            || (matches!(self.phase, Phase::Ended(O::Failed)) && self.allowed)
    }

    /// The outputs of a step without a fan-out: those of its successful try.
    #[must_use]
    pub fn outputs(&self) -> Option<&Object> {
        match self.outcome() {
            Some(StepOutcome::Succeeded | StepOutcome::Degraded) => self.items.first()?.outputs(),
            _ => None,
        }
    }
}

impl Item {
    /// Whether it was begun: an attempt exists or it was refused.
    #[must_use]
    pub const fn begun(&self) -> bool {
        !self.attempts.is_empty() || self.refused.is_some() || self.ended.is_some()
    }

    /// The outputs of its successful try.
    #[must_use]
    pub fn outputs(&self) -> Option<&Object> {
        let report = self.attempts.last()?.report.as_ref()?;
        matches!(
            report.verdict,
            types::Verdict::Succeeded | types::Verdict::Degraded { .. }
        )
        .then_some(&report.outputs)
    }
}

impl Run {
    /// The state after a run's first event.
    #[must_use]
    pub fn new(first: &RunStarted, at: Timestamp) -> Self {
        let plan = Arc::new(first.plan.clone());
        let by_key: BTreeMap<String, usize> = plan
            .steps
            .iter()
            .enumerate()
            .map(|(i, s)| (s.key.clone(), i))
            .collect();
        let mut dependents = vec![Vec::new(); plan.steps.len()];
        for (i, step) in plan.steps.iter().enumerate() {
            for need in step.needs.iter().chain(followed(step)) {
                if let Some(n) = by_key.get(need) {
                    dependents[*n].push(i);
                }
            }
        }
        Self {
            id: first.run.clone(),
            steps: plan.steps.iter().map(|_| Step::new()).collect(),
            open: plan.steps.len(),
            plan,
            inputs: first.inputs.clone(),
            trigger: first.trigger.clone(),
            started_at: at,
            cancel: None,
            ended: None,
            seq: 1,
            active: BTreeSet::new(),
            graph: Arc::new(Graph { by_key, dependents }),
        }
    }

    /// A step's place by its key.
    #[must_use]
    pub fn position(&self, key: &str) -> Option<usize> {
        self.graph.by_key.get(key).copied()
    }

    /// A step's plan and state.
    #[must_use]
    pub fn step(&self, key: &str) -> Option<(&PlanStep, &Step)> {
        let i = self.position(key)?;
        Some((&self.plan.steps[i], &self.steps[i]))
    }

    /// An attempt.
    #[must_use]
    pub fn attempt(&self, at: &At) -> Option<&Attempt> {
        let step = &self.steps[self.position(&at.step)?];
        step.items
            .get(at.index.unwrap_or(0) as usize)?
            .attempts
            .get(at.attempt.checked_sub(1)? as usize)
    }

    pub(crate) fn attempt_mut(&mut self, at: &At) -> Option<&mut Attempt> {
        let i = self.position(&at.step)?;
        let item = self.steps[i].items.get_mut(at.index.unwrap_or(0) as usize)?;
        item.attempts.get_mut(at.attempt.checked_sub(1)? as usize)
    }

    pub(crate) fn item_mut(&mut self, step: &str, index: Option<u32>) -> Option<&mut Item> {
        let i = self.position(step)?;
        self.steps[i].items.get_mut(index.unwrap_or(0) as usize)
    }

    /// The attempts that are not over, in the plan's order.
    pub fn live(&self) -> impl Iterator<Item = (At, &Attempt)> {
        self.active.iter().flat_map(move |&i| {
            let plan = &self.plan.steps[i];
            self.steps[i]
                .items
                .iter()
                .enumerate()
                .filter_map(move |(index, item)| {
                    let attempt = item.attempts.last().filter(|a| !a.life.is_over())?;
                    Some((at_of(plan, index, item.attempts.len()), attempt))
                })
        })
    }

    /// The attempts that wait for an agent.
    pub fn queued(&self) -> impl Iterator<Item = (At, &Attempt)> {
        self.live()
            .filter(|(_, attempt)| matches!(attempt.life.state(), server::State::Queued))
    }

    /// Milliseconds from the start to the end, or to `now`.
    #[must_use]
    pub fn elapsed(&self, now: Timestamp) -> Millis {
        self.ended.as_ref().map_or(now, |e| e.at).since(self.started_at)
    }

    /// Folds an event. One that does not fit changes nothing but the count: `decide` never makes one.
    pub fn evolve(&mut self, event: &Event, now: Timestamp) {
        self.seq += 1;
        match event {
            Event::RunStarted(_) => {}
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
                    item.refused = Some(failure.clone());
                }
            }
            Event::AttemptQueued(queued) => self.fold_queued(queued, now),
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
            Event::CancelRequested { by, reason } => {
                self.cancel = Some(Cancel {
                    by: by.clone(),
                    reason: reason.clone(),
                    at: now,
                });
            }
            Event::RunEnded { outcome, reasons } => {
                self.ended = Some(Ended {
                    outcome: *outcome,
                    reasons: reasons.clone(),
                    at: now,
                });
            }
            Event::ReportIgnored { .. } => {}
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
            lost_at: None,
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
        let pickup = self.step(&at.step).map_or(0, |(plan, _)| plan.pickup_ms);
        let Some(attempt) = self.attempt_mut(at) else {
            return;
        };
        attempt.life.apply(&life);
        if attempt.life.is_over() {
            attempt.ended_at = Some(now);
        }
        match event {
            Event::AttemptOffered { placement, .. } => {
                attempt.offered_at = Some(now);
                attempt.agent_name = Some(placement.agent_name.clone());
            }
            Event::AttemptReturned { .. } => {
                attempt.pickup_by = now.plus(pickup);
                attempt.agent_name = None;
                attempt.lost_at = None;
            }
            Event::AttemptStarted { .. } => attempt.started_at = Some(now),
            Event::AttemptFinished { report, .. } => {
                attempt.started_at = attempt.started_at.or(Some(now));
                attempt.report = Some(Arc::new(report.as_ref().clone()));
            }
            Event::AttemptLost { .. } => attempt.lost_at = attempt.lost_at.or(Some(now)),
            Event::AttemptNotPlaced { reason, .. } => attempt.not_placed = Some(reason.clone()),
            _ => {}
        }
    }
}

/// The attempt's address: a step without a fan-out has no index.
pub(crate) fn at_of(plan: &PlanStep, index: usize, attempt: usize) -> At {
    At {
        step: plan.key.clone(),
        index: plan
            .fan_out
            .is_some()
            .then(|| u32::try_from(index).unwrap_or(u32::MAX)),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
    }
}

/// The steps that a follower follows.
pub(crate) fn followed(step: &PlanStep) -> impl Iterator<Item = &String> {
    match &step.fan_out {
        Some(FanOut::Follow { steps, .. }) => Some(steps.iter()),
        _ => None,
    }
    .into_iter()
    .flatten()
}
