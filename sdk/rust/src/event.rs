//! One event of a run's or an incident's history, as a watcher needs it. Kinds and fields that this build does not know are passed
//! over: a newer server may add some, and what a person sees of the others stays right.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use types::{Artifact, AttemptReport, Failure, Placement, RunId, RunOutcome, StepOutcome, Timestamp};

use crate::Error;

/// An event with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The run; empty for an event of an incident.
    pub run: String,
    /// `inc_…` for an event of an incident, and for one of a run that is known to belong to it.
    pub incident: Option<String>,
    /// Its place in its history, from 1.
    pub seq: u64,
    /// Its place in the server-wide stream, opaque: where to go on from.
    pub cursor: String,
    /// When the server decided it.
    pub at: Timestamp,
    /// Its kind, as stored.
    pub kind: String,
    /// What happened.
    pub body: Body,
    /// The body as stored, with every field and the kind.
    pub raw: Value,
}

/// Which attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct At {
    /// The step.
    pub step: String,
    /// The item.
    #[serde(default)]
    pub index: Option<u32>,
    /// The try, from 1.
    pub attempt: u32,
}

/// Why a run is not succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reason {
    /// The step.
    #[serde(default)]
    pub step: Option<String>,
    /// In words.
    pub message: String,
}

/// What a watcher needs of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlanHead {
    /// The workflow's name.
    pub name: String,
    /// Its steps in order.
    pub steps: Vec<StepHead>,
}

/// What a watcher needs of a step.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StepHead {
    /// Its key.
    pub key: String,
    /// What it waits for.
    #[serde(default)]
    pub needs: BTreeSet<String>,
    /// Whether it has items.
    #[serde(default)]
    pub fan_out: Option<Value>,
    /// What it does.
    pub body: Value,
}

impl StepHead {
    /// What it does, for people: an action's name, or the image it runs in.
    #[must_use]
    pub fn what(&self) -> String {
        let text = |key: &str| self.body.get(key).and_then(Value::as_str);
        match (text("action"), self.body.get("image")) {
            (Some(action), _) => action.to_owned(),
            (None, Some(image)) => {
                let image = image
                    .get("literal")
                    .unwrap_or(image)
                    .as_str()
                    .unwrap_or("an image");
                format!("container {image}")
            }
            (None, None) => text("kind").unwrap_or("?").to_owned(),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind")]
pub enum Body {
    /// The run exists.
    #[serde(rename = "run.started")]
    RunStarted {
        /// The run.
        run: RunId,
        /// Its plan.
        plan: PlanHead,
        /// The run that it repeats.
        #[serde(default)]
        rerun_of: Option<RunId>,
    },
    /// An item takes over what it left in an earlier run.
    #[serde(rename = "item.reused")]
    ItemReused {
        /// The step.
        step: String,
        /// The item; none for a step without a fan-out.
        #[serde(default)]
        index: Option<u32>,
        /// Its value.
        #[serde(default)]
        value: Option<Value>,
        /// How it ended there.
        outcome: StepOutcome,
        /// Why not succeeded.
        #[serde(default)]
        reasons: Vec<String>,
    },
    /// A step is over: it took over what it left in an earlier run.
    #[serde(rename = "step.reused")]
    StepReused {
        /// The step.
        step: String,
        /// The run in which it ran.
        from: RunId,
        /// How it ended there.
        outcome: StepOutcome,
        /// Why not succeeded.
        #[serde(default)]
        reasons: Vec<String>,
    },
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
        /// The need.
        because: String,
        /// How the need ended.
        ended: StepOutcome,
    },
    /// The run ended first.
    #[serde(rename = "step.not_run")]
    StepNotRun {
        /// The step.
        step: String,
    },
    /// A fan-out's items are known.
    #[serde(rename = "step.fanned_out")]
    StepFannedOut {
        /// The step.
        step: String,
        /// The items.
        items: Vec<Value>,
    },
    /// A follower began.
    #[serde(rename = "step.following")]
    StepFollowing {
        /// The step.
        step: String,
    },
    /// A follower's next item.
    #[serde(rename = "step.batch")]
    StepBatch {
        /// The step.
        step: String,
        /// The item's place.
        index: u32,
        /// Whose items.
        of: Vec<(String, u32)>,
    },
    /// An item cannot be run.
    #[serde(rename = "item.refused")]
    ItemRefused {
        /// The step.
        step: String,
        /// The item.
        #[serde(default)]
        index: Option<u32>,
        /// Why.
        failure: Failure,
    },
    /// An attempt waits for an agent.
    #[serde(rename = "attempt.queued")]
    AttemptQueued {
        /// Which.
        #[serde(flatten)]
        at: At,
    },
    /// Offered to an agent.
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
        /// How often its agent's process ended as it was about to start it.
        #[serde(default)]
        agent_crashes: u32,
    },
    /// It began.
    #[serde(rename = "attempt.started")]
    AttemptStarted {
        /// Which.
        #[serde(flatten)]
        at: At,
    },
    /// The server holds something that it left.
    #[serde(rename = "artifact.stored")]
    ArtifactStored {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// What.
        #[serde(flatten)]
        artifact: Artifact,
    },
    /// Its terminal report.
    #[serde(rename = "attempt.finished")]
    AttemptFinished {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// The report.
        report: Box<AttemptReport>,
    },
    /// In doubt: it may have run.
    #[serde(rename = "attempt.lost")]
    AttemptLost {
        /// Which.
        #[serde(flatten)]
        at: At,
    },
    /// A verdict on one in doubt.
    #[serde(rename = "attempt.settled")]
    AttemptSettled {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// `fail`, `rerun` or `succeeded`.
        resolution: String,
        /// Who decided.
        by: String,
    },
    /// Taken back before it began.
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
        /// Why.
        reason: String,
    },
    /// Another try will follow.
    #[serde(rename = "attempt.retry_scheduled")]
    RetryScheduled {
        /// The try that failed.
        #[serde(flatten)]
        at: At,
        /// When.
        due: Timestamp,
    },
    /// A report that changed nothing.
    #[serde(rename = "report.ignored")]
    ReportIgnored {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Why.
        why: Value,
    },
    /// An item is over.
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
    },
    /// The run is over.
    #[serde(rename = "run.ended")]
    RunEnded {
        /// How.
        outcome: RunOutcome,
        /// Why not succeeded.
        reasons: Vec<Reason>,
    },
    /// Nothing for people: accepted on the agent's disk, or a kind of a newer version.
    #[serde(other)]
    Other,
}

impl Event {
    /// From the wire.
    ///
    /// # Errors
    /// When the body of a known kind cannot be read.
    pub fn from_wire(event: proto::v1::Event) -> Result<Self, Error> {
        let wrong = |error: serde_json::Error| {
            Error::Answer(format!(
                "event {} of {} ({}): {error}",
                event.seq,
                if event.run_id.is_empty() {
                    &event.incident_id
                } else {
                    &event.run_id
                },
                event.kind
            ))
        };
        let mut body: Value = serde_json::from_str(&event.body_json).map_err(wrong)?;
        if let Value::Object(body) = &mut body {
            body.insert("kind".to_owned(), event.kind.clone().into());
        }
        let raw = body;
        let body = Body::deserialize(&raw).map_err(wrong)?;
        Ok(Self {
            run: event.run_id,
            incident: (!event.incident_id.is_empty()).then_some(event.incident_id),
            seq: event.seq,
            cursor: event.cursor,
            at: Timestamp::from_unix_ms(event.at_ms),
            kind: event.kind,
            body,
            raw,
        })
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self.body, Body::RunEnded { .. })
    }
}
