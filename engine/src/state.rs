//! A run's state, folded from its events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocol::server;
use types::{
    AgentId, Artifact, AttemptReport, Failure, LeaseToken, Millis, Object, RunId, RunOutcome, SessionId,
    StepOutcome, Timestamp, Value, Work,
};
use workflow::{Plan, PlanStep};

use crate::{At, Crashes, Reason, RunStarted, Taken, Trigger, tidy};

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
    /// The run that it repeats.
    pub rerun_of: Option<RunId>,
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
    /// Reports that were recorded as ignored: a repeat of one changes nothing.
    pub(crate) ignored: BTreeSet<(At, LeaseToken, AgentId, protocol::Report)>,
    pub(crate) graph: Arc<Graph>,
}

/// What follows from the plan alone.
#[derive(Debug, PartialEq)]
pub(crate) struct Graph {
    pub(crate) by_key: BTreeMap<String, usize>,
    /// Who waits for it or follows it.
    pub(crate) dependents: Vec<Vec<usize>>,
    /// Whether its `when` asks for `always()` or `cancelled()`: it may run although the run is being cancelled.
    pub(crate) tidies: Vec<bool>,
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
    /// Whether a cancel ends it.
    pub stopping: bool,
    /// The run in which it ran, when it was taken over from there.
    pub reused_from: Option<RunId>,
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
    /// What it left in an earlier run, when it was taken over from there; then it has no tries.
    pub taken: Option<Taken>,
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
    /// When its agent was asked to end it.
    pub stopping_at: Option<Timestamp>,
    /// How often it came back unstarted.
    pub returns: u32,
    /// Agents whose process ended as it was about to start this item.
    pub crashes: Crashes,
    /// When it came into doubt.
    pub lost_at: Option<Timestamp>,
    /// What the server holds of it.
    pub artifacts: Vec<Artifact>,
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
            stopping: false,
            reused_from: None,
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

    /// What a step without a fan-out left under a name, however it ended.
    #[must_use]
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.outcome()?;
        let artifacts = self.items.first()?.artifacts();
        artifacts.iter().find(|artifact| artifact.name == name)
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

    /// What its last try left.
    #[must_use]
    pub fn artifacts(&self) -> &[Artifact] {
        match (&self.taken, self.attempts.last()) {
            (Some(taken), _) => &taken.artifacts,
            (None, Some(last)) => &last.artifacts,
            (None, None) => &[],
        }
    }

    /// The outputs of its successful try.
    #[must_use]
    pub fn outputs(&self) -> Option<&Object> {
        if let Some(taken) = &self.taken {
            return taken.outputs.as_ref();
        }
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
        let tidies = plan
            .steps
            .iter()
            .map(|step| step.when.as_ref().is_some_and(tidy::asks))
            .collect();
        let by_key: BTreeMap<String, usize> = plan
            .steps
            .iter()
            .enumerate()
            .map(|(i, s)| (s.key.clone(), i))
            .collect();
        let mut dependents = vec![Vec::new(); plan.steps.len()];
        for (i, step) in plan.steps.iter().enumerate() {
            for need in step.before() {
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
            rerun_of: first.rerun_of.clone(),
            started_at: at,
            cancel: None,
            ended: None,
            seq: 1,
            active: BTreeSet::new(),
            ignored: BTreeSet::new(),
            graph: Arc::new(Graph {
                by_key,
                dependents,
                tidies,
            }),
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

    /// What an earlier step left under a name; a step with a fan-out has none of its own.
    #[must_use]
    pub fn artifact(&self, step: &str, name: &str) -> Option<&Artifact> {
        let (plan, step) = self.step(step)?;
        step.artifact(name).filter(|_| plan.fan_out.is_none())
    }

    /// An attempt. An address with an index is of a fan-out's item, one without is of a step without a fan-out.
    #[must_use]
    pub fn attempt(&self, at: &At) -> Option<&Attempt> {
        let (i, n) = self.place(&at.step, at.index)?;
        let tries = &self.steps[i].items.get(n)?.attempts;
        tries.get(at.attempt.checked_sub(1)? as usize)
    }

    pub(crate) fn attempt_mut(&mut self, at: &At) -> Option<&mut Attempt> {
        let item = self.item_mut(&at.step, at.index)?;
        item.attempts.get_mut(at.attempt.checked_sub(1)? as usize)
    }

    pub(crate) fn item(&self, step: &str, index: Option<u32>) -> Option<&Item> {
        let (i, n) = self.place(step, index)?;
        self.steps[i].items.get(n)
    }

    pub(crate) fn item_mut(&mut self, step: &str, index: Option<u32>) -> Option<&mut Item> {
        let (i, n) = self.place(step, index)?;
        self.steps[i].items.get_mut(n)
    }

    /// Agents name attempts in their own words: an index where none belongs must not reach the item beside it.
    fn place(&self, step: &str, index: Option<u32>) -> Option<(usize, usize)> {
        let i = self.position(step)?;
        let fans_out = self.plan.steps[i].fan_out.is_some();
        (index.is_some() == fans_out).then(|| (i, index.unwrap_or(0) as usize))
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
