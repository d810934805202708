//! Findings: what was measured, each with where it can be seen. No claim without evidence.

use serde::{Deserialize, Serialize};

use crate::{AgentId, Object, RunId, Type, Value};

/// How a measured value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Within what is usual.
    Normal,
    /// Beyond the check's first bound.
    Warning,
    /// Beyond its second bound.
    Critical,
    /// It could not be measured; the summary says why.
    Unknown,
}

impl Level {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a finding can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// In what a step put out.
    Step {
        /// The run.
        run: RunId,
        /// The step.
        step: String,
        /// The item of its fan-out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
        /// The try.
        attempt: u32,
        /// The agent that ran it.
        agent: AgentId,
        /// The agent's name for people.
        agent_name: String,
        /// Where in its outputs: `checks[2]`.
        output: String,
    },
    /// In a vendor's answer.
    Query {
        /// The vendor.
        source: String,
        /// The query, whole.
        query: String,
        /// Start of the window, Unix milliseconds.
        from_ms: i64,
        /// End of the window, Unix milliseconds.
        to_ms: i64,
        /// Where a person sees the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<String>,
    },
}

impl Evidence {
    /// The id that a claim refers to: `run_…/step[index]#attempt:output` or `source:query@from..to`.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Step {
                run,
                step,
                index,
                attempt,
                output,
                ..
            } => {
                let index = index.map(|i| format!("[{i}]")).unwrap_or_default();
                format!("{run}/{step}{index}#{attempt}:{output}")
            }
            Self::Query {
                source,
                query,
                from_ms,
                to_ms,
                ..
            } => format!("{source}:{query}@{from_ms}..{to_ms}"),
        }
    }
}

/// One measured fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The host it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What was measured: `memory`, `load`, …
    pub check: String,
    /// How it stands.
    pub level: Level,
    /// One line with the measured value in it.
    pub summary: String,
    /// Where it can be seen.
    pub evidence: Evidence,
}

impl Finding {
    /// The language's type of a finding.
    #[must_use]
    pub fn ty() -> Type {
        Type::record(
            "finding",
            [
                ("host?", Type::String),
                ("check", Type::String),
                ("level", Type::String),
                ("summary", Type::String),
                ("evidence", Type::Json),
            ],
        )
    }
}

/// One item of a fan-out as `steps.s.items` shows it, and as a `follow` step receives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckItem {
    /// The step that ran it.
    pub step: String,
    /// Its place in the fan-out.
    pub index: u32,
    /// The item's own value: a host, say.
    pub value: Value,
    /// `succeeded`, `degraded`, `failed`, …
    pub outcome: String,
    /// Its outputs, when it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Object>,
    /// Why not, when it failed or degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The try that settled it; 0 when none began.
    #[serde(default)]
    pub attempt: u32,
    /// The agent that ran it, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The agent's name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
}

impl CheckItem {
    /// The language's type of a fan-out's item; `value` and `outputs` are what the checker knows of them.
    #[must_use]
    pub fn ty(value: Type, outputs: Type) -> Type {
        Type::record(
            "item",
            [
                ("step", Type::String),
                ("index", Type::Int),
                ("value", value),
                ("outcome", Type::String),
                ("outputs?", outputs),
                ("reason?", Type::String),
                ("attempt", Type::Int),
                ("agent?", Type::String),
                ("agent_name?", Type::String),
            ],
        )
    }
}
