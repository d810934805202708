//! One try of a step (or of one item of its fan-out) and what its agent reports of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AgentId, Artifact, LeaseToken, Millis, Object, RunId, ServiceReport, SessionId, Timestamp};

/// Which try this is. The token of its lease fences it; this key names it for people and on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The run.
    pub run: RunId,
    /// The step's key in the plan.
    pub step: String,
    /// The item of a fan-out, from 0; absent for a step without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The try, from 1.
    pub attempt: u32,
}

impl AttemptKey {
    /// A name that is safe on disk and in a cgroup: `run_….step.index.attempt`, `-` for no index.
    #[must_use]
    pub fn name(&self) -> String {
        let index = self.index.map_or_else(|| "-".to_owned(), |i| i.to_string());
        format!("{}.{}.{index}.{}", self.run, self.step, self.attempt)
    }
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        write!(f, "#{}", self.attempt)
    }
}

/// Where an attempt was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The agent.
    pub agent: AgentId,
    /// Its name for people.
    pub agent_name: String,
    /// Its session at the time.
    pub session: SessionId,
    /// The lease's token.
    pub token: LeaseToken,
}

/// How an attempt ended, as its agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Exit 0 or an action's success.
    Succeeded,
    /// Success with parts that could not be done.
    Degraded {
        /// What could not be done, at least one.
        reasons: Vec<String>,
    },
    /// Failure.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Stopped because the server asked for it.
    Cancelled {
        /// Whether the agent saw the process gone.
        confirmed: bool,
    },
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, for retries and for people.
    pub kind: FailureKind,
    /// One line that names what failed, why, and what to do next. At most `limits::MESSAGE_CHARS`.
    pub message: String,
    /// The main process's exit code, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How long a vendor asked us to wait before another try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<Millis>,
}

impl Failure {
    /// A failure of a kind with its message, cut to the limit.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.chars().count() > crate::limits::MESSAGE_CHARS {
            message = message
                .chars()
                .take(crate::limits::MESSAGE_CHARS - 1)
                .chain(['…'])
                .collect();
        }
        Self {
            kind,
            message,
            exit_code: None,
            retry_after_ms: None,
        }
    }
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The process ended with an exit code other than 0.
    Exit,
    /// The process was ended by a signal that we did not send.
    Signal,
    /// The memory limit was hit.
    Oom,
    /// The attempt's time was over.
    Timeout,
    /// It could not be started: no such program, no such image, the runtime refused.
    Start,
    /// The agent's policy refuses it.
    Refused,
    /// Its outputs are undeclared, missing, mistyped or too large.
    Output,
    /// An action failed for good.
    Action,
    /// An action failed in a way that may pass.
    Transient,
    /// A vendor limits us.
    RateLimited,
    /// No agent took it in time.
    NotPlaced,
    /// An expression could not be evaluated.
    Expression,
    /// It may have run, and nobody knows how it ended.
    Lost,
    /// It was declared failed by a person.
    Resolved,
    /// A defect of ours.
    Internal,
}

impl FailureKind {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Oom => "oom",
            Self::Timeout => "timeout",
            Self::Start => "start",
            Self::Refused => "refused",
            Self::Output => "output",
            Self::Action => "action",
            Self::Transient => "transient",
            Self::RateLimited => "rate_limited",
            Self::NotPlaced => "not_placed",
            Self::Expression => "expression",
            Self::Lost => "lost",
            Self::Resolved => "resolved",
            Self::Internal => "internal",
        }
    }
}

/// How a container's main process ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExitStatus {
    /// Exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Signal, when it was ended by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Processes of the step that the kernel killed for memory.
    #[serde(default)]
    pub oom_kills: u32,
    /// Whether KILL was needed after TERM and the grace.
    #[serde(default)]
    pub killed_after_grace: bool,
}

/// What an attempt used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time from start to end by the agent's boot-time clock.
    pub duration_ms: Millis,
    /// Processor time.
    #[serde(default)]
    pub cpu_ms: Millis,
    /// Peak memory.
    #[serde(default)]
    pub peak_memory_bytes: u64,
    /// Bytes written to standard output, the dropped ones included.
    #[serde(default)]
    pub stdout_bytes: u64,
    /// Bytes written to standard error, the dropped ones included.
    #[serde(default)]
    pub stderr_bytes: u64,
}

/// An agent's terminal report of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptReport {
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Its outputs; empty unless it succeeded or degraded.
    #[serde(default)]
    pub outputs: Object,
    /// What the server holds of it; in a history they have events of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// How its process ended, for containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
    /// When it ended by the agent's wall clock: for people, never for decisions.
    pub finished_at: Timestamp,
    /// What ran it and what of the hardening was in force, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// The digest of the image that ran, for an image from a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// What became of its services, by name in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceReport>,
}
