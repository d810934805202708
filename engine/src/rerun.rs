//! A run repeated: the chosen steps and all that depend on them run again, what the others left is taken over.

use std::collections::{BTreeMap, BTreeSet};

use types::{AgentId, Artifact, Object, RunId, StepOutcome, Value};

use crate::{Context, Decision, Event, Run, RunStarted, Step, Trigger, decide::begin, state::at_of};

/// Why a run cannot be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRerun {
    /// It has not ended: what its steps leave is not known yet.
    #[error("the run has not ended")]
    Live,
    /// A chosen step is none of the plan.
    #[error("the run has no step {step:?}")]
    NoSuchStep {
        /// Its place among the chosen.
        place: usize,
        /// What was asked for.
        step: String,
    },
    /// None was chosen, and none is left that did not succeed.
    #[error("every step succeeded or was skipped: name the steps from which on to run again")]
    Nothing,
}

/// What an item left in an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The outputs of its successful try.
    pub outputs: Option<Object>,
    /// What its last try left; the server holds it still.
    pub artifacts: Vec<Artifact>,
    /// How many tries it had.
    pub attempts: u32,
    /// Where the last of them ran.
    pub agent: Option<AgentId>,
    /// That agent's name.
    pub agent_name: Option<String>,
}

/// An item that is taken over, as an event tells it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ItemReused {
    /// The step.
    pub step: String,
    /// The item; none for a step without a fan-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Its value, in a `foreach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Whose items it is a batch of, in a follower.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batch: Vec<(String, u32)>,
    /// How it ended.
    pub outcome: StepOutcome,
    /// Why not succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Its outputs, when it left some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Object>,
    /// What its last try left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// How many tries it had.
    pub attempts: u32,
    /// Where the last of them ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// That agent's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
}

/// A step that is taken over, as an event tells it after its items.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StepReused {
    /// The step.
    pub step: String,
    /// The run in which it ran, or was passed over.
    pub from: RunId,
    /// How it ended.
    pub outcome: StepOutcome,
    /// Whether it began there; one that was skipped or omitted did not.
    #[serde(default)]
    pub began: bool,
    /// Whether its failure only degrades the run.
    #[serde(default)]
    pub allowed: bool,
    /// Why not succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The need because of which it was omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_because: Option<String>,
}

/// Starts `id` as a repetition of a run that has ended: the same plan, inputs, alert and incident. The steps in `from`
/// and all that depend on them run again; an empty `from` means those that neither succeeded nor were skipped. Of the
/// others, what they left is taken over: outputs, outcomes and reasons, a fan-out whole.
///
/// # Errors
/// See [`NoRerun`].
pub fn rerun(
    earlier: &Run,
    id: RunId,
    by: String,
    from: &[String],
    context: Context,
) -> Result<(Run, Decision), NoRerun> {
    if earlier.ended.is_none() {
        return Err(NoRerun::Live);
    }
    let mut chosen = BTreeSet::new();
    for (place, step) in from.iter().enumerate() {
        let i = earlier.position(step).ok_or_else(|| NoRerun::NoSuchStep {
            place,
            step: step.clone(),
        })?;
        chosen.insert(i);
    }
    if from.is_empty() {
        use StepOutcome as O;
        let well = |step: &Step| matches!(step.outcome(), Some(O::Succeeded | O::Skipped));
        chosen.extend((0..earlier.steps.len()).filter(|&i| !well(&earlier.steps[i])));
        if chosen.is_empty() {
            return Err(NoRerun::Nothing);
        }
    }
    let again = earlier.with_dependents(chosen);
    let kept = (0..earlier.steps.len()).filter(|i| !again.contains(i));
    let kept: Vec<(usize, RunId)> = kept.map(|i| (i, earlier.ran_in(i))).collect();
    let key = |i: usize| earlier.plan.steps[i].key.clone();
    let first = RunStarted {
        run: id,
        plan: earlier.plan.as_ref().clone(),
        inputs: earlier.inputs.clone(),
        trigger: Trigger {
            by,
            ..earlier.trigger.clone()
        },
        rerun_of: Some(earlier.id.clone()),
        rerun_from: from.to_vec(),
        reused: kept.iter().map(|(i, from)| (key(*i), from.clone())).collect(),
    };
    let reused = kept.into_iter().flat_map(|(i, from)| earlier.handed_on(i, from));
    Ok(begin(first, reused.collect(), context))
}

impl Run {
    /// Steps and all that wait for them or follow them, however far.
    fn with_dependents(&self, chosen: BTreeSet<usize>) -> BTreeSet<usize> {
        let mut open: Vec<usize> = chosen.iter().copied().collect();
        let mut all = chosen;
        while let Some(i) = open.pop() {
            for &next in &self.graph.dependents[i] {
                if all.insert(next) {
                    open.push(next);
                }
            }
        }
        all
    }

    /// The run in which a step ran: this one, or the one from which it was taken over.
    fn ran_in(&self, i: usize) -> RunId {
        self.steps[i]
            .reused_from
            .clone()
            .unwrap_or_else(|| self.id.clone())
    }

    /// The events by which another run takes a step over.
    fn handed_on(&self, i: usize, from: RunId) -> Vec<Event> {
        let (plan, step) = (&self.plan.steps[i], &self.steps[i]);
        let Some(outcome) = step.outcome() else {
            return Vec::new();
        };
        let item = |(n, item): (usize, &crate::Item)| {
            let end = item.ended.as_ref();
            let taken = item.leaves();
            Event::ItemReused(Box::new(ItemReused {
                step: plan.key.clone(),
                index: at_of(plan, n, 1).index,
                value: item.value.clone(),
                batch: item.batch.clone(),
                outcome: end.map_or(outcome, |end| end.outcome),
                reasons: end.map_or_else(|| step.reasons.clone(), |end| end.reasons.clone()),
                outputs: taken.outputs,
                artifacts: taken.artifacts,
                attempts: taken.attempts,
                agent: taken.agent,
                agent_name: taken.agent_name,
            }))
        };
        let mut events: Vec<Event> = step.items.iter().enumerate().map(item).collect();
        events.push(Event::StepReused(Box::new(StepReused {
            step: plan.key.clone(),
            from,
            outcome,
            began: step.started_at.is_some(),
            allowed: step.allowed,
            reasons: step.reasons.clone(),
            omitted_because: step.omitted_because.clone(),
        })));
        events
    }
}

impl crate::Item {
    /// What it leaves to a run that takes it over.
    pub(crate) fn leaves(&self) -> Taken {
        if let Some(taken) = &self.taken {
            return taken.clone();
        }
        let last = self.attempts.last();
        let lease = last.and_then(|attempt| attempt.life.lease());
        Taken {
            outputs: self.outputs().cloned(),
            artifacts: self.artifacts().to_vec(),
            attempts: u32::try_from(self.attempts.len()).unwrap_or(u32::MAX),
            agent: lease.map(|lease| lease.agent.clone()),
            agent_name: last.and_then(|attempt| attempt.agent_name.clone()),
        }
    }
}

/// Each reused step with the run in which it ran.
pub type Reused = BTreeMap<String, RunId>;
