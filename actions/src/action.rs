//! The contract of an action.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{Failure, FailureKind, LeaseToken, Millis, Object, RunId, Signature};

use crate::{Clock, Connections, LogSink, Mask};

/// A built-in step.
#[async_trait]
pub trait Action: Send + Sync {
    /// Its contract, as data.
    fn signature(&self) -> Signature;

    /// Runs it. The parameters have been checked against the signature and filled with its defaults.
    ///
    /// # Errors
    /// What makes the attempt fail. What could merely not be done in full is a reason in the output.
    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError>;
}

/// What an action gets of the attempt it runs for.
#[derive(Debug, Clone)]
pub struct ActionContext {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: String,
    /// The item of a fan-out.
    pub index: Option<u32>,
    /// The try, from 1. From the second on an effect may already be there, and is looked for.
    pub attempt: u32,
    /// The lease's token, for targets that can fence on it.
    pub token: LeaseToken,
    /// The wall clock.
    pub clock: Clock,
    /// What the agent holds.
    pub connections: Connections,
    /// For what is sent to others: the agent's secrets are taken out by it.
    pub mask: Mask,
    /// Cancelled when the attempt is to stop.
    pub cancel: CancellationToken,
    /// The attempt's log.
    pub log: LogSink,
    /// When the action must have ended: the budget for waiting and trying again.
    pub deadline: Instant,
}

impl ActionContext {
    /// The time left.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// What an action gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ActionOutput {
    /// The outputs by name.
    pub outputs: Object,
    /// What could not be done, one sentence each; empty means all was done.
    pub degraded: Vec<String>,
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActionError {
    /// `Action`, `Transient`, `RateLimited`, `Refused`, `Output` or `Internal`.
    pub kind: FailureKind,
    /// One line: what failed, why, what to do. Never a secret.
    pub message: String,
    /// How long the vendor asks to wait.
    pub retry_after_ms: Option<Millis>,
}

impl ActionError {
    /// Of a kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// A failure for good.
    pub fn action(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Action, message)
    }

    /// A defect of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, message)
    }
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        let mut failure = Self::new(error.kind, error.message);
        failure.retry_after_ms = error.retry_after_ms;
        failure
    }
}
