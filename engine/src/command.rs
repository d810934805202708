//! What can be asked of a run, and what comes of it.

use std::collections::BTreeMap;

use protocol::{Held, Resolution, server::Why};
use types::{AgentId, AttemptReport, LeaseToken, Placement, SessionId, Timestamp};

use crate::{At, Event, placement::Snapshot};

/// What the edge brings to a decision: the pure rooms have neither clock nor dice.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// Now, by the server's wall clock.
    pub now: Timestamp,
    /// Random bits, for jitter.
    pub entropy: u64,
}

/// A command on a run.
#[derive(Debug, Clone)]
pub enum Command<'a> {
    /// Offer a queued attempt under a new token.
    Offer {
        /// Which.
        at: At,
        /// Where.
        placement: Placement,
    },
    /// An agent reports.
    Report {
        /// Which, by the agent's words.
        at: At,
        /// The token that it names.
        token: LeaseToken,
        /// Who, by its identity.
        from: AgentId,
        /// What.
        body: ReportBody,
    },
    /// An agent's Hello was taken: for every attempt that is out at it.
    Inventory {
        /// The agent.
        agent: AgentId,
        /// The session that the Hello opens.
        session: SessionId,
        /// All that it holds.
        held: &'a BTreeMap<LeaseToken, Held>,
        /// Whether the process of its last session ended without being told to: an offer that it does not hold may be
        /// the reason.
        crashed: bool,
    },
    /// A lease and the margin after it are over.
    Expired {
        /// Which.
        at: At,
        /// Its token.
        token: LeaseToken,
    },
    /// A person's verdict on a step in doubt.
    Resolve {
        /// The step.
        step: String,
        /// The item.
        index: Option<u32>,
        /// The verdict.
        resolution: Resolution,
        /// Who.
        by: String,
    },
    /// A person wants the run to end.
    Cancel {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Time went on: due retries, pickups, gathers and asks.
    Tick {
        /// The agents, to say why nothing was placed.
        agents: &'a Snapshot,
        /// As for [`crate::Run::next_deadline`].
        heard_since: Timestamp,
    },
}

/// What an agent reports.
#[derive(Debug, Clone)]
pub enum ReportBody {
    /// On its disk.
    Accepted,
    /// Begun.
    Started,
    /// Over.
    Finished(Box<AttemptReport>),
    /// Not taken.
    Declined,
    /// Taken and given back.
    Released {
        /// How often its agent's process ended as it was about to start it.
        crashes: u32,
    },
    /// It may have run; how it ended cannot be known.
    Lost,
}

impl ReportBody {
    /// The protocol's word for it.
    #[must_use]
    pub const fn word(&self) -> protocol::Report {
        match self {
            Self::Accepted => protocol::Report::Accepted,
            Self::Started => protocol::Report::Started,
            Self::Finished(_) => protocol::Report::Finished,
            Self::Declined => protocol::Report::Declined,
            Self::Released { .. } => protocol::Report::Released,
            Self::Lost => protocol::Report::Lost,
        }
    }
}

/// A message to an agent, to be sent after the events are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToAgent {
    /// Whom.
    pub agent: AgentId,
    /// Which attempt it is about.
    pub at: At,
    /// What.
    pub send: protocol::server::Send<LeaseToken, AgentId, SessionId>,
}

/// What comes of a command.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// To be appended, in order; the run has them folded in already.
    pub events: Vec<Event>,
    /// To be sent once they are stored.
    pub sends: Vec<ToAgent>,
}

/// Why a command is refused; the run is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The run is over.
    #[error("the run has ended")]
    Ended,
    /// No such step, item or attempt.
    #[error("the run has no attempt {0}")]
    NoSuchAttempt(String),
    /// No such step.
    #[error("the run has no step {0:?}")]
    NoSuchStep(String),
    /// The machine refuses it.
    #[error("not now: {0:?}")]
    NotNow(Why),
    /// Nothing is in doubt there.
    #[error("step {0:?} is not in doubt")]
    NotInDoubt(String),
}
