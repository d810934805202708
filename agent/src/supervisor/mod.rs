//! The one task that owns the desk and all attempts.
//!
//! ```text
//! session, heartbeat, attempts ── Event ──▶ inbox ──▶ Desk::on ──▶ actions ──▶ spool (one write, one flush)
//!                                                                         └──▶ then, in order: send, start, stop, remove
//! ```

mod act;
mod event;
mod hear;
mod leases;
mod recover;
mod suspects;
mod unflushed;
mod unrecorded;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use node::{clock, tasks::Tasks};
use proto::v1;
use protocol::{
    agent::{Input, Phase},
    ids::{Action, Desk},
};
use runtime::Attached;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use types::{LeaseToken, SessionId, Timestamp};

pub(crate) use event::{Beat, Event};

use crate::{
    attempt::Reins,
    context::Context,
    error::{AgentError, tried},
    logs::Logs,
    spool::{Meta, Record, Spool, StopCause},
};
use leases::Leases;
use suspects::Suspects;
use unflushed::Unflushed;
use unrecorded::Unrecorded;

/// Events that are taken together, so that one flush serves them all.
const TOGETHER: usize = 256;
/// With as many attempts alive, a flush waits a little for what is about to come: as PostgreSQL's `commit_siblings`.
const SIBLINGS: usize = 5;
/// How long it then waits: as PostgreSQL's `commit_delay`. Less than a step takes, more than one event after another.
const LINGER: Duration = Duration::from_millis(3);
/// How long a leaving agent waits for actions in flight and for its last reports to be acknowledged.
const LEAVE: Duration = Duration::from_secs(3);
/// With less room than this for new attempts no new ones are taken.
const FREE_BYTES: u64 = 16 * 1024 * 1024;
/// With fewer files to be made than this, too: an attempt makes a dozen.
const FREE_FILES: u64 = 64;
/// With more tombstones than this a new session is opened, for the server says Forget at its beginning.
const TOMBSTONES: usize = 10_000;

/// What the supervisor is made of.
pub(crate) struct Parts {
    pub context: Arc<Context>,
    pub spool: Spool,
    pub inbox: mpsc::Receiver<Event>,
    pub events: mpsc::Sender<Event>,
    pub logs: Logs,
    pub every: watch::Sender<Duration>,
    /// Whether there is something to do.
    pub busy: watch::Sender<bool>,
    pub tasks: Tasks,
    /// Cancelled when everything is to end.
    pub over: CancellationToken,
}

pub(crate) struct Supervisor {
    context: Arc<Context>,
    spool: Spool,
    desk: Desk,
    inbox: mpsc::Receiver<Event>,
    events: mpsc::Sender<Event>,
    logs: Logs,
    every: watch::Sender<Duration>,
    busy: watch::Sender<bool>,
    tasks: Tasks,
    over: CancellationToken,
    metas: BTreeMap<LeaseToken, Meta>,
    causes: BTreeMap<LeaseToken, StopCause>,
    reins: BTreeMap<LeaseToken, Reins>,
    leases: Leases,
    suspects: Suspects,
    /// The process before this one ended without being told to.
    crashed: bool,
    link: Option<Link>,
    /// To be sent at the end of this round.
    said: Vec<v1::SessionUp>,
    /// Attempts whose logs are not all acknowledged.
    logging: BTreeSet<LeaseToken>,
    /// Attempts that may be removed once their logs are.
    removable: BTreeSet<LeaseToken>,
    /// Starts that are not announced yet, with when they happened.
    unannounced: BTreeMap<LeaseToken, Timestamp>,
    /// Found running at the start, to be attached.
    found: BTreeMap<LeaseToken, Box<dyn Attached>>,
    /// Of which the spool says nothing.
    unrecorded: Unrecorded,
    /// Ends that are told before they are on the disk.
    unflushed: Unflushed,
    /// Sessions that were opened.
    sessions: u64,
    leaving: bool,
    /// The disk has no room ahead: what runs is reported, nothing new is taken.
    short: bool,
}

/// The open session.
struct Link {
    session: SessionId,
    up: mpsc::Sender<v1::SessionUp>,
    /// Offers that came.
    offers: u64,
    /// Credits given in all.
    granted: u64,
    /// Dropped, it ends the session.
    _release: DropGuard,
}

/// What a round of events asks for.
#[derive(Default)]
struct Round {
    /// First leases, before their first record.
    met: Vec<(LeaseToken, Meta)>,
    dial: Option<u64>,
    actions: Vec<Action>,
    replies: Vec<event::Reply>,
}

impl Supervisor {
    pub(crate) fn new(parts: Parts) -> Self {
        let held = parts.spool.held();
        let leases = held
            .iter()
            .map(|(token, held)| (token.clone(), held.lease.clone()))
            .collect();
        Self {
            desk: Desk::restore(parts.context.capacity, parts.spool.dials(), leases),
            metas: held
                .iter()
                .map(|(token, held)| (token.clone(), held.meta.clone()))
                .collect(),
            causes: held
                .iter()
                .filter_map(|(token, held)| Some((token.clone(), held.cause.clone()?)))
                .collect(),
            reins: BTreeMap::new(),
            leases: Leases::new(parts.context.dir.renewed()),
            suspects: Suspects::restore(held.iter().map(|(token, held)| (token.clone(), held.crashes))),
            crashed: parts.spool.crashed(),
            context: parts.context,
            spool: parts.spool,
            inbox: parts.inbox,
            events: parts.events,
            logs: parts.logs,
            every: parts.every,
            busy: parts.busy,
            tasks: parts.tasks,
            over: parts.over,
            link: None,
            said: Vec::new(),
            logging: BTreeSet::new(),
            removable: BTreeSet::new(),
            unannounced: BTreeMap::new(),
            found: BTreeMap::new(),
            unrecorded: Unrecorded::default(),
            unflushed: Unflushed::default(),
            sessions: 0,
            leaving: false,
            short: false,
        }
    }

    /// Goes on until `shutdown`, and a little longer for what is short.
    ///
    /// # Errors
    /// The spool cannot be written: nothing may be started or told any more.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), AgentError> {
        self.carry(shutdown).await?;
        let count = self.desk.dial_count();
        // What is flushed may be written anew, and the last word comes last.
        self.write(Vec::new(), !self.unflushed.is_empty())?;
        self.write(vec![Record::Dial { count, left: true }], false)
    }

    async fn carry(&mut self, shutdown: CancellationToken) -> Result<(), AgentError> {
        let mut deadline = None;
        loop {
            if self.leaving && self.is_quiet() {
                return Ok(());
            }
            let lease_end = self.leases.next();
            let first = tokio::select! {
                event = self.inbox.recv() => event,
                () = sleep_until(lease_end) => Some(Event::Nothing),
                () = until(self.unflushed.at()) => Some(Event::Nothing),
                () = shutdown.cancelled(), if !self.leaving => {
                    self.leaving = true;
                    deadline = Some(tokio::time::Instant::now() + LEAVE);
                    Some(Event::Nothing)
                }
                () = until(deadline) => return Ok(()),
                () = self.tasks.failed().cancelled() => return Err(AgentError::Panicked),
            };
            let Some(first) = first else { return Ok(()) };
            if self.reins.len() >= SIBLINGS {
                tokio::time::sleep(LINGER).await;
            }
            let mut events = vec![first];
            while events.len() < TOGETHER
                && let Ok(event) = self.inbox.try_recv()
            {
                events.push(event);
            }
            self.round(events)?;
        }
    }

    /// Nothing is left that would end soon.
    fn is_quiet(&self) -> bool {
        let is_short = |token: &LeaseToken| {
            self.metas
                .get(token)
                .and_then(|meta| meta.work().ok())
                .is_some_and(|work| matches!(work.body, types::WorkBody::Action(_)))
        };
        let waits = |(token, lease): (&LeaseToken, &protocol::ids::DeskLease)| match lease.phase {
            Phase::Accepted | Phase::Starting | Phase::Running => is_short(token),
            Phase::Finished { .. } => self.link.is_some(),
            Phase::Tombstone => false,
        };
        !self.desk.leases().iter().any(waits)
    }

    fn round(&mut self, events: Vec<Event>) -> Result<(), AgentError> {
        let mut round = Round::default();
        // Renewals first, then the judgement: after a pause nothing else may come before it.
        let (renewals, rest): (Vec<_>, Vec<_>) = events
            .into_iter()
            .partition(|event| matches!(event, Event::Renewed { .. }));
        for event in renewals {
            self.hear(event, &mut round);
        }
        for token in self.leases.over(clock::Boot::now()) {
            tracing::warn!(attempt = %self.shown(&token), "its lease is over: the server was not heard of");
            self.causes.entry(token.clone()).or_insert(StopCause::LeaseOver);
            self.tell(Input::LeaseEnded { token }, &mut round);
        }
        for event in rest {
            self.hear(event, &mut round);
        }
        self.next_suspect(&mut round);
        self.act(round)?;
        let looked = self.look_at_the_disk();
        if looked.is_ok() {
            self.grant();
        }
        // What is written is told, whatever is wrong with the disk now.
        self.send_off();
        looked?;
        let now = !(self.reins.is_empty() && self.logging.is_empty());
        self.pace();
        self.busy
            .send_if_modified(|busy| std::mem::replace(busy, now) != now);
        Ok(())
    }

    /// Gives an input to the desk.
    fn tell(&mut self, input: Input<LeaseToken, SessionId, types::AttemptReport>, round: &mut Round) {
        match self.desk.on(input) {
            Ok(actions) => round.actions.extend(actions),
            Err(ignored) => tracing::trace!(?ignored, "nothing changes"),
        }
    }

    /// Takes room ahead for results; without it nothing new is taken.
    fn look_at_the_disk(&mut self) -> Result<(), AgentError> {
        let reserved = self
            .spool
            .reserve()
            .map_err(tried("cannot take room for the spool"))?;
        let (bytes, files) = self.context.dir.room();
        let short = !reserved || bytes < FREE_BYTES || files < FREE_FILES;
        if short && !self.short {
            tracing::error!(
                bytes,
                least_bytes = FREE_BYTES,
                files,
                least_files = FREE_FILES,
                "the disk is full: nothing new is taken; what runs is reported from room that was set aside"
            );
        } else if self.short && !short {
            tracing::info!("there is room on the disk again: new work is taken");
        }
        self.short = short;
        Ok(())
    }

    /// Gives as many credits as there are free slots.
    fn grant(&mut self) {
        let free = if self.leaving || self.short {
            0
        } else {
            u64::from(self.desk.free_slots())
        };
        let Some(link) = &mut self.link else { return };
        let total = link.offers + free;
        if total > link.granted {
            link.granted = total;
            let credits = v1::Credits { total };
            self.say(v1::SessionUp {
                message: Some(v1::session_up::Message::Credits(credits)),
            });
        }
    }

    /// Heartbeats come often enough for the shortest lease.
    fn pace(&mut self) {
        let every = self.leases.every();
        self.every.send_if_modified(|held| {
            let news = *held != every;
            *held = every;
            news
        });
        let tombs = self.desk.leases().len().saturating_sub(self.reins.len());
        if tombs > TOMBSTONES
            && self
                .link
                .as_ref()
                .is_some_and(|link| link.offers > TOMBSTONES as u64 / 2)
        {
            tracing::debug!(tombs, "a new session, so that old leases can be forgotten");
            self.link = None;
        }
    }

    /// Sent at the end of the round, where there is a session.
    fn say(&mut self, message: v1::SessionUp) {
        if self.link.is_some() {
            self.said.push(message);
        }
    }

    /// Sends all that a round has said at once: the server then decides it together, and commits the start of what was quick with
    /// its end. A session that does not take it is closed.
    fn send_off(&mut self) {
        let mut said = std::mem::take(&mut self.said).into_iter();
        if let Some(link) = &self.link
            && said.any(|message| link.up.try_send(message).is_err())
        {
            tracing::warn!("the session does not take reports: it is closed");
            self.link = None;
        }
    }

    fn beat(&self) -> Beat {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let mut stats = v1::AgentStats {
            spool_bytes: self.spool.size(),
            sessions: self.sessions,
            resident_bytes: node::memory::resident_bytes(),
            leftovers_removed: count(&self.context.leftovers_removed),
            log_bytes_waiting: count(&self.context.log_bytes_waiting),
            log_bytes_given_up: count(&self.context.log_bytes_given_up),
            ..v1::AgentStats::default()
        };
        for lease in self.desk.leases().values() {
            match lease.phase {
                Phase::Accepted | Phase::Starting => stats.starting += 1,
                Phase::Running => stats.running += 1,
                Phase::Finished { .. } => stats.reports_waiting += 1,
                Phase::Tombstone => {}
            }
        }
        Beat {
            tokens: self.leases.tokens(),
            stats,
        }
    }

    fn shown(&self, token: &LeaseToken) -> String {
        self.metas.get(token).map_or_else(
            || token.to_string(),
            |meta| format!("{} {}", meta.key.run, meta.key),
        )
    }
}

async fn sleep_until(at: Option<clock::Boot>) {
    match at {
        Some(at) => clock::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
