//! The run's own record as expressions see it (`run`), and as `incident/summary` reads it.

use serde::{Deserialize, Serialize};

use crate::{Millis, Timestamp, Type};

/// A run, as of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run's id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Milliseconds since then.
    pub elapsed_ms: Millis,
    /// The outcome so far: what it would be if nothing else went wrong.
    pub outcome: String,
    /// Why it is not `succeeded`.
    pub reasons: Vec<String>,
    /// The steps in the plan's order.
    pub steps: Vec<StepRecord>,
}

/// A step of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's key.
    pub key: String,
    /// Its outcome, or `waiting` (for other steps), `queued` (for an agent), `running`, `in_doubt`.
    pub outcome: String,
    /// Why it is not `succeeded`.
    pub reasons: Vec<String>,
    /// From its first attempt's offer to its end, or to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<Millis>,
    /// Its tries.
    pub attempts: Vec<AttemptRecord>,
}

/// A try of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The item of a fan-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The try, from 1.
    pub attempt: u32,
    /// The agent's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Its outcome.
    pub outcome: String,
    /// By the agent's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<Millis>,
}

impl RunRecord {
    /// The language's type of `run`.
    #[must_use]
    pub fn ty() -> Type {
        let attempt = Type::record(
            "attempt_record",
            [
                ("index?", Type::Int),
                ("attempt", Type::Int),
                ("agent?", Type::String),
                ("outcome", Type::String),
                ("duration_ms?", Type::Int),
            ],
        );
        let step = Type::record(
            "step_record",
            [
                ("key", Type::String),
                ("outcome", Type::String),
                ("reasons", Type::list(Type::String)),
                ("duration_ms?", Type::Int),
                ("attempts", Type::list(attempt)),
            ],
        );
        Type::record(
            "run",
            [
                ("id", Type::String),
                ("workflow", Type::String),
                ("started_at", Type::Int),
                ("elapsed_ms", Type::Int),
                ("outcome", Type::String),
                ("reasons", Type::list(Type::String)),
                ("steps", Type::list(step)),
            ],
        )
    }
}
