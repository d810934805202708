//! What happened in a run. The history is an intent log: what was decided and what was reported, not a debug log.
//! Every state is folded from it; a fold never evaluates, so the results of expressions are in the events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{
    AgentId, Artifact, AttemptReport, Failure, IncidentId, LeaseToken, Object, Placement, RunId, RunOutcome,
    StepOutcome, Timestamp, Value, Work,
};
use workflow::Plan;

use crate::{ItemReused, Reused, StepReused};

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Event {
    /// The run exists.
    #[serde(rename = "run.started")]
    RunStarted(Box<RunStarted>),
    /// An item is taken over from an earlier run.
    #[serde(rename = "item.reused")]
    ItemReused(Box<ItemReused>),
    /// A step is over: taken over from an earlier run, its items told before.
    #[serde(rename = "step.reused")]
    StepReused(Box<StepReused>),
    /// Its own `when` was false.
    #[serde(rename = "step.skipped")]
    StepSkipped {
        /// The step.
        step: String,
    },
    /// A need did not hold.
    #[serde(rename = "step.omitted")]
    StepOmitted {
        /// The step.
        step: String,
        /// The edge: the need that did not hold, and how it ended.
        because: String,
        /// How that need ended.
        ended: StepOutcome,
    },
    /// The run ended (by a cancel) before it could begin.
    #[serde(rename = "step.not_run")]
    StepNotRun {
        /// The step.
        step: String,
    },
    /// A fan-out's list was read; the items are run as the step allows.
    #[serde(rename = "step.fanned_out")]
    StepFannedOut {
        /// The step.
        step: String,
        /// The items in order.
        items: Vec<Value>,
    },
    /// A follower began: it takes items of others as they end.
    #[serde(rename = "step.following")]
    StepFollowing {
        /// The step.
        step: String,
    },
    /// A follower's next item: a batch of others' items.
    #[serde(rename = "step.batch")]
    StepBatch {
        /// The step.
        step: String,
        /// The item's place.
        index: u32,
        /// Whose items: step and index.
        of: Vec<(String, u32)>,
    },
    /// An item cannot be run: its expressions have no value, or its host label is not well-formed.
    #[serde(rename = "item.refused")]
    ItemRefused {
        /// The step.
        step: String,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
        /// Why.
        failure: Failure,
    },
    /// An attempt waits for an agent.
    #[serde(rename = "attempt.queued")]
    AttemptQueued(Box<AttemptQueued>),
    /// It was offered to an agent.
    #[serde(rename = "attempt.offered")]
    AttemptOffered {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Where.
        placement: Placement,
    },
    /// It certainly did not start: it waits again.
    #[serde(rename = "attempt.returned")]
    AttemptReturned {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// The token, dead from now on.
        token: LeaseToken,
        /// How that is known.
        because: protocol::server::Returned,
        /// How often its agent's process ended as it was about to start it.
        #[serde(default, skip_serializing_if = "is_none")]
        agent_crashes: u32,
    },
    /// It is on the agent's disk.
    #[serde(rename = "attempt.accepted")]
    AttemptAccepted {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Its token.
        token: LeaseToken,
    },
    /// It began (and was accepted).
    #[serde(rename = "attempt.started")]
    AttemptStarted {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Its token.
        token: LeaseToken,
    },
    /// The server holds something that it left. Told right before its report, in one write with it.
    #[serde(rename = "artifact.stored")]
    ArtifactStored {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Its token.
        token: LeaseToken,
        /// What.
        #[serde(flatten)]
        artifact: Artifact,
    },
    /// Its first terminal report.
    #[serde(rename = "attempt.finished")]
    AttemptFinished {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Its token.
        token: LeaseToken,
        /// The report.
        report: Box<AttemptReport>,
    },
    /// It is in doubt: it may have run.
    #[serde(rename = "attempt.lost")]
    AttemptLost {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Its token; stays current.
        token: LeaseToken,
        /// What had been heard of it.
        known: protocol::server::Known,
        /// How that came.
        because: protocol::server::Lost,
    },
    /// A verdict on an attempt in doubt.
    #[serde(rename = "attempt.settled")]
    AttemptSettled {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Its token; a report under it is late from now on.
        token: LeaseToken,
        /// The verdict.
        resolution: protocol::Resolution,
        /// Who decided: `if-lost`, `cancel`, or a person.
        by: String,
    },
    /// It was taken back before it began: a cancel.
    #[serde(rename = "attempt.withdrawn")]
    AttemptWithdrawn {
        /// Which.
        #[serde(flatten)]
        at: At,
    },
    /// Its agent was asked to end it.
    #[serde(rename = "attempt.stopping")]
    AttemptStopping {
        /// Which.
        #[serde(flatten)]
        at: At,
    },
    /// No agent took it in time.
    #[serde(rename = "attempt.not_placed")]
    AttemptNotPlaced {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// What was wanted and what there was.
        reason: String,
    },
    /// Another try will follow.
    #[serde(rename = "attempt.retry_scheduled")]
    RetryScheduled {
        /// The try that failed.
        #[serde(flatten)]
        at: At,
        /// When the next one is queued.
        due: Timestamp,
    },
    /// A report that changes nothing, kept with the reason.
    #[serde(rename = "report.ignored")]
    ReportIgnored {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// The token that it named.
        token: LeaseToken,
        /// Who sent it.
        agent: AgentId,
        /// What it was.
        report: protocol::Report,
        /// Why it changes nothing.
        why: protocol::server::Why,
    },
    /// An item of a fan-out is over.
    #[serde(rename = "item.ended")]
    ItemEnded {
        /// The step.
        step: String,
        /// The item.
        index: u32,
        /// How.
        outcome: StepOutcome,
        /// Why not succeeded.
        #[serde(default)]
        reasons: Vec<String>,
    },
    /// A step is over.
    #[serde(rename = "step.ended")]
    StepEnded {
        /// The step.
        step: String,
        /// How.
        outcome: StepOutcome,
        /// Whether its failure only degrades the run.
        #[serde(default)]
        allowed: bool,
        /// Why not succeeded.
        #[serde(default)]
        reasons: Vec<String>,
    },
    /// A person wants it to end.
    #[serde(rename = "run.cancel_requested")]
    CancelRequested {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// The steps that run and go on: their `when` asks for `always()` or `cancelled()` and holds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spared: Vec<String>,
    },
    /// The run is over.
    #[serde(rename = "run.ended")]
    RunEnded {
        /// How.
        outcome: RunOutcome,
        /// Why not succeeded, in the steps' order.
        reasons: Vec<Reason>,
    },
}

/// Why a run is not succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// In words.
    pub message: String,
}

/// The first event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The run.
    pub run: RunId,
    /// The plan, whole: a run never depends on a definition that changed.
    pub plan: Plan,
    /// Its inputs, defaults filled in.
    pub inputs: Object,
    /// What started it.
    pub trigger: Trigger,
    /// The run that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<RunId>,
    /// The steps that were chosen to run again with their dependents; empty for those that did not succeed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rerun_from: Vec<String>,
    /// The steps that are taken over, each with the run in which it ran.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reused: Reused,
}

impl RunStarted {
    /// A run of its own, that repeats none.
    #[must_use]
    pub const fn new(run: RunId, plan: Plan, inputs: Object, trigger: Trigger) -> Self {
        Self {
            run,
            plan,
            inputs,
            trigger,
            rerun_of: None,
            rerun_from: Vec::new(),
            reused: BTreeMap::new(),
        }
    }
}

/// What started a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trigger {
    /// The alert as `types::Alert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Value>,
    /// Its incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Who: `webhook:datadog`, or a caller.
    pub by: String,
}

/// Which attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct At {
    /// The step.
    pub step: String,
    /// The item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The try, from 1.
    pub attempt: u32,
}

/// An attempt in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptQueued {
    /// Which.
    #[serde(flatten)]
    pub at: At,
    /// What to do, fully evaluated.
    pub work: Work,
    /// Labels that the agent must have.
    #[serde(default)]
    pub runs_on: BTreeMap<String, String>,
    /// The connection that it must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// When it fails as not placed.
    pub pickup_by: Timestamp,
}

impl Event {
    /// The kind's name, as stored.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RunStarted(_) => "run.started",
            Self::ItemReused(_) => "item.reused",
            Self::StepReused(_) => "step.reused",
            Self::StepSkipped { .. } => "step.skipped",
            Self::StepOmitted { .. } => "step.omitted",
            Self::StepNotRun { .. } => "step.not_run",
            Self::StepFannedOut { .. } => "step.fanned_out",
            Self::StepFollowing { .. } => "step.following",
            Self::StepBatch { .. } => "step.batch",
            Self::ItemRefused { .. } => "item.refused",
            Self::AttemptQueued(_) => "attempt.queued",
            Self::AttemptOffered { .. } => "attempt.offered",
            Self::AttemptReturned { .. } => "attempt.returned",
            Self::AttemptAccepted { .. } => "attempt.accepted",
            Self::AttemptStarted { .. } => "attempt.started",
            Self::ArtifactStored { .. } => "artifact.stored",
            Self::AttemptFinished { .. } => "attempt.finished",
            Self::AttemptLost { .. } => "attempt.lost",
            Self::AttemptSettled { .. } => "attempt.settled",
            Self::AttemptWithdrawn { .. } => "attempt.withdrawn",
            Self::AttemptStopping { .. } => "attempt.stopping",
            Self::AttemptNotPlaced { .. } => "attempt.not_placed",
            Self::RetryScheduled { .. } => "attempt.retry_scheduled",
            Self::ReportIgnored { .. } => "report.ignored",
            Self::ItemEnded { .. } => "item.ended",
            Self::StepEnded { .. } => "step.ended",
            Self::CancelRequested { .. } => "run.cancel_requested",
            Self::RunEnded { .. } => "run.ended",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}
