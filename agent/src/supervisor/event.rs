//! What the supervisor hears.

use std::collections::BTreeSet;

use node::clock::Boot;
use proto::v1;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;
use types::{AttemptKey, LeaseToken, Millis, SessionId};

use crate::{attempt::Told, session::Dialled};

/// What the supervisor hears.
#[derive(Debug)]
pub(crate) enum Event {
    /// A Hello is to be said: with a number above `floor`.
    Dial {
        floor: u64,
        reply: oneshot::Sender<Dialled>,
    },
    /// The Hello was answered.
    Opened {
        session: SessionId,
        sent: Boot,
        heartbeat_ms: Millis,
        up: mpsc::Sender<v1::SessionUp>,
        release: DropGuard,
    },
    /// The session is over.
    Closed,
    /// An offer.
    Offer {
        token: LeaseToken,
        session: SessionId,
        key: AttemptKey,
        workflow: String,
        work_json: String,
    },
    /// The server has the terminal report.
    Ack(LeaseToken),
    /// No offer of this token can come any more.
    Forget(LeaseToken),
    /// The server wants it to end.
    Stop {
        token: LeaseToken,
        key: AttemptKey,
        reason: String,
    },
    /// A heartbeat is to be sent: which leases does it name?
    Beat { reply: oneshot::Sender<Beat> },
    /// A heartbeat was answered.
    Renewed {
        tokens: Vec<LeaseToken>,
        sent: Boot,
        stop: Vec<LeaseToken>,
    },
    /// Something became of an attempt.
    Attempt(LeaseToken, Told),
    /// A start takes long: say that it was accepted.
    Slow(LeaseToken),
    /// A start that was kept back is to be announced.
    Announce(LeaseToken),
    /// The logs of an attempt are acknowledged or not wanted.
    LogsDone(LeaseToken),
    /// Which attempts still need what lies on this host?
    Kept(oneshot::Sender<BTreeSet<LeaseToken>>),
    /// Look at the clock.
    Nothing,
}

/// What a heartbeat says.
#[derive(Debug)]
pub(crate) struct Beat {
    /// The leases that it renews.
    pub tokens: Vec<LeaseToken>,
    pub stats: v1::AgentStats,
}

/// An answer that is given once the round is on disk.
#[derive(Debug)]
pub(crate) enum Reply {
    Dialled(oneshot::Sender<Dialled>, Dialled),
    Live(oneshot::Sender<Beat>),
}
