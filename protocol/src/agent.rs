//! The agent's side: all its leases, its session and its slots.

mod on;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Decline, Held, Report};

/// How a lease ended, kept until acknowledged. `R` is the result that the server gets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending<R> {
    /// Never taken.
    Declined {
        /// Why.
        why: Decline,
    },
    /// Taken, never started: stopped or out of time before.
    Released,
    /// With a result: it exited, or it could not be started for certain.
    Finished {
        /// The result.
        result: R,
    },
    /// It may have run; how it ended cannot be known.
    Lost,
}

impl<R> Ending<R> {
    /// The report that tells it.
    #[must_use]
    pub const fn report(&self) -> Report {
        match self {
            Self::Declined { .. } => Report::Declined,
            Self::Released => Report::Released,
            Self::Finished { .. } => Report::Finished,
            Self::Lost => Report::Lost,
        }
    }
}

/// Where a lease is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase<R> {
    /// On disk; images are pulled and secrets fetched.
    Accepted,
    /// The intent to start is on disk: from here on it may run.
    Starting,
    /// Runs.
    Running,
    /// Over and unacknowledged: the spool.
    Finished {
        /// How.
        #[serde(flatten)]
        ending: Ending<R>,
    },
    /// Over and acknowledged. Kept so that a late copy of the offer starts nothing.
    Tombstone,
}

/// One lease as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease<S, R> {
    /// The session of its offer.
    pub session: S,
    /// Where it is.
    #[serde(flatten)]
    pub phase: Phase<R>,
    /// Whether it is to end: by the server's word or by its lease.
    pub stopping: bool,
}

impl<S, R> Lease<S, R> {
    /// What an inventory says of it.
    #[must_use]
    pub const fn held(&self) -> Held {
        match self.phase {
            Phase::Accepted => Held::Accepted,
            Phase::Starting => Held::Starting,
            Phase::Running => Held::Running,
            Phase::Finished { .. } => Held::Finished,
            Phase::Tombstone => Held::Done,
        }
    }

    /// Whether it takes a slot.
    const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Accepted | Phase::Starting | Phase::Running)
    }
}

/// What happens at an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<T, S, R> {
    /// The server answered the Hello of the last [`Desk::dial`].
    Opened(S),
    /// The session's connection is gone.
    Closed,
    /// An offer.
    Offer {
        /// Its token.
        token: T,
        /// The session that it is bound to.
        session: S,
        /// The agent's own say, slots aside. A policy's refusal is no decline: accept it, then report the
        /// failure as [`Input::Ended`], or it would be offered here for ever.
        admit: Result<(), Decline>,
    },
    /// All is there for an accepted lease to start, also after a restart of the agent.
    Ready {
        /// Whose.
        token: T,
    },
    /// The container runs.
    Started {
        /// Whose.
        token: T,
    },
    /// The result is known: it exited, or it certainly could not be started.
    Ended {
        /// Whose.
        token: T,
        /// The result.
        result: R,
    },
    /// After a restart: what the runtime says of a lease. Comes once for each, before [`Input::Ready`] and, where
    /// the lease's time is over, after [`Input::LeaseEnded`].
    Recovered {
        /// Whose.
        token: T,
        /// What it says.
        seen: Seen<R>,
    },
    /// The server wants it to end.
    Stop {
        /// Whose.
        token: T,
    },
    /// The lease's time is over by the boot-time clock.
    LeaseEnded {
        /// Whose.
        token: T,
    },
    /// The server has the terminal report.
    Ack {
        /// Of which.
        token: T,
    },
    /// No offer of this token can come any more.
    Forget {
        /// Which.
        token: T,
    },
}

/// What the runtime says after a restart of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<R> {
    /// It runs; the runtime is attached to it again.
    Running,
    /// It exited.
    Exited(R),
    /// It was certainly never started: same boot as the intent, and no trace of its name.
    NeverStarted,
    /// Neither can be said.
    Unknown,
}

/// What is to be done, strictly in this order, each to its end before the next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action<T, S, R> {
    /// Write the lease to disk and sync.
    Persist {
        /// Whose.
        token: T,
        /// What.
        lease: Lease<S, R>,
    },
    /// Remove the lease from disk.
    Erase {
        /// Whose.
        token: T,
    },
    /// Tell the server; dropped where there is no session, for [`Input::Opened`] says all again.
    Send {
        /// Of which lease.
        token: T,
        /// What.
        report: Message<R>,
    },
    /// Start it under the name that derives from its attempt.
    Start {
        /// Whose.
        token: T,
    },
    /// End it: TERM, grace, KILL, verified. Asked for more than once it is the same.
    Stop {
        /// Whose.
        token: T,
    },
    /// Remove what is left of it. Not there is as good.
    Remove {
        /// Whose.
        token: T,
    },
}

/// What an agent tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Message<R> {
    /// It is on disk.
    Accepted,
    /// It runs.
    Started,
    /// It is over.
    Ended(Ending<R>),
}

impl<R> Message<R> {
    /// The word for it.
    #[must_use]
    pub const fn report(&self) -> Report {
        match self {
            Self::Accepted => Report::Accepted,
            Self::Started => Report::Started,
            Self::Ended(ending) => ending.report(),
        }
    }
}

/// Why an input changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// The offer is bound to another session.
    StaleSession,
    /// No such lease.
    Unknown,
    /// The lease is over and acknowledged.
    Over,
    /// It makes no sense in this phase, or was so already.
    NotNow,
}

/// The agent's leases. Its durable part is [`Desk::leases`] and [`Desk::dial_count`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Desk<T, S, R> {
    slots: u32,
    dials: u64,
    session: Option<S>,
    leases: BTreeMap<T, Lease<S, R>>,
    /// How many of them are live: a session may hold thousands that are over.
    live: usize,
}

impl<T: Clone + Ord, S: Clone + Eq, R: Clone> Desk<T, S, R> {
    /// From disk, without a session. `slots`: how many leases may be live at once.
    #[must_use]
    pub fn restore(slots: u32, dials: u64, leases: BTreeMap<T, Lease<S, R>>) -> Self {
        Self {
            slots,
            dials,
            session: None,
            live: leases.values().filter(|lease| lease.is_live()).count(),
            leases,
        }
    }

    /// Ends the session and counts a dial up to above `floor` (0, or what the server named as taken). The number
    /// must be on disk before the Hello goes out with it and with [`Desk::inventory`] as of now: as the session
    /// is closed, no offer that is not in it can be taken any more but under the session it opens.
    pub fn dial(&mut self, floor: u64) -> u64 {
        self.session = None;
        self.dials = self.dials.max(floor).saturating_add(1);
        self.dials
    }

    /// What the Hello says.
    pub fn inventory(&self) -> impl Iterator<Item = (&T, Held)> {
        self.leases.iter().map(|(token, lease)| (token, lease.held()))
    }

    /// All leases, tombstones included.
    #[must_use]
    pub const fn leases(&self) -> &BTreeMap<T, Lease<S, R>> {
        &self.leases
    }

    /// The session, where one is open.
    #[must_use]
    pub const fn session(&self) -> Option<&S> {
        self.session.as_ref()
    }

    /// Dials so far.
    #[must_use]
    pub const fn dial_count(&self) -> u64 {
        self.dials
    }

    /// Slots without a live lease: the credits to grant.
    #[must_use]
    pub fn free_slots(&self) -> u32 {
        self.slots
            .saturating_sub(u32::try_from(self.live).unwrap_or(u32::MAX))
    }
}
