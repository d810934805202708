//! How steps and runs end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a run ended. The order is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// All that was to be done was done.
    Succeeded,
    /// Done in part: the reasons say what was not.
    Degraded,
    /// Stopped by a person before its end.
    Cancelled,
    /// A step failed and the workflow did not allow it to.
    Failed,
}

impl RunOutcome {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Degraded => "degraded",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// Done.
    Succeeded,
    /// Done in part, with reasons.
    Degraded,
    /// Not run: its own `when` was false.
    Skipped,
    /// Not run: a need did not hold.
    Omitted,
    /// Not run: the run ended first.
    NotRun,
    /// Stopped by a cancel.
    Cancelled,
    /// Failed.
    Failed,
}

impl StepOutcome {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Degraded => "degraded",
            Self::Skipped => "skipped",
            Self::Omitted => "omitted",
            Self::NotRun => "not_run",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
