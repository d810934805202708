//! The words that both sides use.

use serde::{Deserialize, Serialize};

/// What an agent says of a lease. The last four are terminal: they stay in its spool until acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The offer is on the agent's disk.
    Accepted,
    /// The container runs, or the action does.
    Started,
    /// The agent does not hold it and never will: no slot, its policy, or it never heard of it.
    Declined,
    /// The agent held it, has not started it and never will.
    Released,
    /// It ended, or it could not be started for certain; its result comes with the report.
    Finished,
    /// It may have run and how it ended cannot be known any more.
    Lost,
}

impl Report {
    /// Whether the agent keeps this report until it is acknowledged.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Accepted | Self::Started)
    }
}

/// What an agent's inventory says of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Accepted, not started.
    Accepted,
    /// About to be started: it may or may not run.
    Starting,
    /// Runs.
    Running,
    /// Over, its terminal report not yet acknowledged; the report follows.
    Finished,
    /// Over and acknowledged: only the tombstone is left.
    Done,
}

/// Why an agent declines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decline {
    /// No free slot.
    NoSlot,
    /// The agent drains: it takes nothing new.
    Draining,
    /// A stop came for a lease that it never heard of; it will refuse the offer should it still come.
    Unheard,
}

/// What is decided of an attempt in doubt, by its `if-lost` or by a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It counts as failed.
    Fail,
    /// A new attempt, with a token of its own, takes its place.
    Rerun,
    /// It counts as succeeded.
    Succeeded,
}
