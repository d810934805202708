//! What one record of the journal says. Its JSON form is the agent's disk format.

use node::clock::Boot;
use protocol::ids::DeskLease;
use serde::{Deserialize, Serialize};
use types::{AttemptKey, LeaseToken, Timestamp, Work};

/// One record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The dial counter was raised.
    Dial {
        /// To this.
        count: u64,
        /// Written last by a process that was told to end. Without it the next one knows that this one crashed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        left: bool,
    },
    /// A lease was met for the first time. Comes before its first `Lease`.
    Met {
        /// Its token.
        token: LeaseToken,
        /// What it is about.
        meta: Meta,
    },
    /// A lease came into a phase.
    Lease {
        /// Its token.
        token: LeaseToken,
        /// The machine's lease.
        lease: DeskLease,
        /// The host's boot: *never started* is believed only in the boot of the intent.
        boot: String,
        /// Why it is to end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<StopCause>,
        /// Processes that ended as they were about to start it.
        #[serde(default, skip_serializing_if = "is_none")]
        crashes: u32,
        /// A damaged spool may have held more of it: *never started* is not believed of it any more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        doubted: bool,
        /// By the wall clock, for the age of tombstones.
        at: Timestamp,
    },
    /// A lease is forgotten.
    Erase {
        /// Its token.
        token: LeaseToken,
    },
}

/// What a lease is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Which try of which step.
    pub key: AttemptKey,
    /// Of which workflow; for people.
    #[serde(default)]
    pub workflow: String,
    /// The work as the server wrote it; empty once it is over.
    #[serde(default)]
    pub work_json: String,
    /// When the lease began, in the boot of its first record.
    pub base: Boot,
}

impl Meta {
    /// The work, when this agent understands it.
    pub(crate) fn work(&self) -> Result<Work, serde_json::Error> {
        serde_json::from_str(&self.work_json)
    }
}

/// Why an attempt is to end before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub(crate) enum StopCause {
    /// The server said so.
    Asked,
    /// The server was not heard of for as long as the lease goes.
    LeaseOver,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}
