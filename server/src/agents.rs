//! The agents as of now: their sessions, their free slots, and the book of leases. All of it can be made anew: agents
//! say Hello again, and leases are re-armed in full from the histories.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use engine::{At, placement};
use proto::v1;
use protocol::Held;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use types::{AgentId, Labels, LeaseToken, Millis, Placement, RunId, SessionId, Timestamp, limits};

use crate::clock::{Clock, entropy};

/// What an agent holds, by its last Hello.
pub(crate) type Inventory = Arc<BTreeMap<LeaseToken, Held>>;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Facts {
    pub(crate) version: String,
    pub(crate) capacity: u32,
    pub(crate) runtimes: Vec<String>,
    pub(crate) actions: BTreeMap<String, String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) connections: Vec<String>,
    pub(crate) grants: Vec<String>,
}

/// One agent.
#[derive(Debug)]
struct Agent {
    name: String,
    labels: Labels,
    facts: Facts,
    session: Option<Session>,
    last_seen: Timestamp,
    heartbeat_ms: u64,
}

/// Its stream.
#[derive(Debug)]
struct Session {
    id: SessionId,
    down: mpsc::Sender<v1::SessionDown>,
    /// Ends the stream; whoever cancels it says why in `close`.
    end: CancellationToken,
    close: Arc<Mutex<Option<Close>>>,
    held: Inventory,
    granted: u64,
    offered: u64,
}

/// Why a session is ended by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// A newer session of the same agent.
    Superseded,
    /// The agent does not read.
    Slow,
    /// The store did not take a report: the agent must send it again.
    Store,
}

/// A lease that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leased {
    pub(crate) run: RunId,
    pub(crate) at: At,
    pub(crate) agent: AgentId,
    pub(crate) budget_ms: Millis,
    renewed_ms: u64,
    /// In doubt: it does not expire again, and its agent is not told to stop.
    lost: bool,
}

/// An agent for lists.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) id: AgentId,
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) facts: Facts,
    pub(crate) connected: bool,
    pub(crate) running: u32,
    pub(crate) last_seen: Timestamp,
}

/// A session as its stream's task holds it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) down: mpsc::Receiver<v1::SessionDown>,
    pub(crate) end: CancellationToken,
    pub(crate) close: Arc<Mutex<Option<Close>>>,
}

#[derive(Debug, Default)]
struct Book {
    agents: BTreeMap<AgentId, Agent>,
    leases: HashMap<LeaseToken, Leased>,
}

/// The registry.
#[derive(Debug)]
pub(crate) struct Agents {
    book: Mutex<Book>,
    changed: watch::Sender<u64>,
    clock: Clock,
}

/// Messages that wait for a session's writer; beyond them the agent does not read.
const DOWN_MESSAGES: usize = 1024;

impl Agents {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            book: Mutex::default(),
            changed: watch::Sender::new(0),
            clock,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change under the lock is complete before anything can panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when an attempt that waits might now be placed.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn touch(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// An agent known from before.
    pub(crate) fn remember(&self, id: AgentId, name: String, labels: Labels, facts: Facts, seen: Timestamp) {
        let agent = Agent {
            name,
            labels,
            facts,
            session: None,
            last_seen: seen,
            heartbeat_ms: 0,
        };
        self.book().agents.entry(id).or_insert(agent);
    }

    /// A Hello that was taken: supersedes the older session. Nothing is offered before `grant`.
    pub(crate) fn open(
        &self,
        id: &AgentId,
        name: String,
        labels: Labels,
        facts: Facts,
        session: SessionId,
        held: Inventory,
    ) -> Opened {
        let (tx, rx) = mpsc::channel(DOWN_MESSAGES);
        let end = CancellationToken::new();
        let close = Arc::new(Mutex::new(None));
        let fresh = Session {
            id: session,
            down: tx,
            end: end.clone(),
            close: Arc::clone(&close),
            held,
            granted: 0,
            offered: 0,
        };
        let agent = Agent {
            name,
            labels,
            facts,
            session: Some(fresh),
            last_seen: self.clock.now(),
            heartbeat_ms: self.clock.monotonic_ms(),
        };
        let older = self.book().agents.insert(id.clone(), agent);
        if let Some(session) = older.and_then(|agent| agent.session) {
            end_session(&session, Close::Superseded);
        }
        Opened { down: rx, end, close }
    }

    /// The stream is gone.
    pub(crate) fn closed(&self, id: &AgentId, session: &SessionId) {
        let mut book = self.book();
        if let Some(agent) = book.agents.get_mut(id)
            && agent.session.as_ref().is_some_and(|s| s.id == *session)
        {
            agent.session = None;
            agent.last_seen = self.clock.now();
        }
    }

    /// Ends an agent's session from here.
    pub(crate) fn close(&self, id: &AgentId, why: Close) {
        if let Some(session) = self
            .book()
            .agents
            .get(id)
            .and_then(|agent| agent.session.as_ref())
        {
            end_session(session, why);
        }
    }

    /// Credits: offers in all that the session takes.
    pub(crate) fn grant(&self, id: &AgentId, session: &SessionId, total: u64) {
        if let Some(s) = self
            .book()
            .agents
            .get_mut(id)
            .and_then(|a| a.session.as_mut())
            .filter(|s| s.id == *session)
        {
            s.granted = s.granted.max(total);
        }
        self.touch();
    }

    /// The agent declined for want of a slot: nothing more until it grants anew.
    pub(crate) fn full(&self, id: &AgentId) {
        if let Some(s) = self.book().agents.get_mut(id).and_then(|a| a.session.as_mut()) {
            s.offered = s.offered.max(s.granted);
        }
    }

    /// Renews leases; answers those that are not its own or not known, to be stopped.
    pub(crate) fn renew(&self, id: &AgentId, tokens: Vec<LeaseToken>) -> Vec<LeaseToken> {
        let now = self.clock.monotonic_ms();
        let mut book = self.book();
        if let Some(agent) = book.agents.get_mut(id) {
            agent.heartbeat_ms = now;
            agent.last_seen = self.clock.now();
        }
        tokens
            .into_iter()
            .filter(|token| match book.leases.get_mut(token) {
                Some(lease) if lease.agent == *id => {
                    lease.renewed_ms = now;
                    false
                }
                _ => true,
            })
            .collect()
    }

    /// The agents for a decision.
    pub(crate) fn snapshot(&self) -> placement::Snapshot {
        let now = self.clock.monotonic_ms();
        let book = self.book();
        placement::Snapshot {
            agents: book
                .agents
                .iter()
                .map(|(id, agent)| candidate(id, agent, now))
                .collect(),
        }
    }

    /// Places an attempt and takes a slot of the agent.
    ///
    /// # Errors
    /// In words, why no agent takes it now.
    pub(crate) fn reserve(&self, wanted: &placement::Wanted<'_>) -> Result<Placement, String> {
        let snapshot = self.snapshot();
        let chosen = placement::place(&snapshot, wanted)?;
        let mut book = self.book();
        let session = book
            .agents
            .get_mut(&chosen.id)
            .and_then(|agent| agent.session.as_mut());
        match session.filter(|s| Some(&s.id) == chosen.session.as_ref() && s.offered < s.granted) {
            Some(session) => {
                session.offered += 1;
                Ok(Placement {
                    agent: chosen.id.clone(),
                    agent_name: chosen.name.clone(),
                    session: session.id.clone(),
                    token: LeaseToken::new(self.clock.now(), entropy()),
                })
            }
            None => Err(format!("{} was taken just now", chosen.name)),
        }
    }

    /// An offer that was not stored: its slot is free again.
    pub(crate) fn release(&self, placement: &Placement) {
        let mut book = self.book();
        let session = book
            .agents
            .get_mut(&placement.agent)
            .and_then(|agent| agent.session.as_mut());
        if let Some(session) = session.filter(|s| s.id == placement.session) {
            session.offered = session.offered.saturating_sub(1);
        }
    }

    /// Sends to the agent's session; with `only`, to no other session than that. Without one the message is dropped:
    /// the next Hello reconciles.
    pub(crate) fn send(&self, id: &AgentId, only: Option<&SessionId>, message: v1::SessionDown) {
        let book = self.book();
        let Some(session) = book.agents.get(id).and_then(|agent| agent.session.as_ref()) else {
            return;
        };
        if only.is_none_or(|only| *only == session.id) && session.down.try_send(message).is_err() {
            end_session(session, Close::Slow);
        }
    }

    /// The session of now and what its Hello held.
    pub(crate) fn current(&self, id: &AgentId) -> Option<(SessionId, Inventory)> {
        let book = self.book();
        let session = book.agents.get(id)?.session.as_ref()?;
        Some((session.id.clone(), Arc::clone(&session.held)))
    }

    /// Notes a lease, armed in full.
    pub(crate) fn lease(
        &self,
        token: LeaseToken,
        run: RunId,
        at: At,
        agent: AgentId,
        budget_ms: Millis,
        lost: bool,
    ) {
        let renewed_ms = self.clock.monotonic_ms();
        self.book().leases.insert(
            token,
            Leased {
                run,
                at,
                agent,
                budget_ms,
                renewed_ms,
                lost,
            },
        );
    }

    /// In doubt: it does not expire again.
    pub(crate) fn lost(&self, token: &LeaseToken) {
        if let Some(lease) = self.book().leases.get_mut(token) {
            lease.lost = true;
        }
    }

    /// Over.
    pub(crate) fn unlease(&self, token: &LeaseToken) {
        self.book().leases.remove(token);
    }

    /// Leases at an agent.
    pub(crate) fn leases_at(&self, id: &AgentId) -> Vec<(LeaseToken, Leased)> {
        let book = self.book();
        book.leases
            .iter()
            .filter(|(_, l)| l.agent == *id)
            .map(|(t, l)| (t.clone(), l.clone()))
            .collect()
    }

    /// Leases that ended a margin ago.
    pub(crate) fn expired(&self) -> Vec<(LeaseToken, Leased)> {
        let now = self.clock.monotonic_ms();
        let over = |l: &Leased| !l.lost && now >= l.renewed_ms + l.budget_ms + limits::LEASE_MARGIN_MS;
        self.book()
            .leases
            .iter()
            .filter(|(_, l)| over(l))
            .map(|(t, l)| (t.clone(), l.clone()))
            .collect()
    }

    /// All agents, by name.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let now = self.clock.monotonic_ms();
        let book = self.book();
        let mut running: BTreeMap<&AgentId, u32> = BTreeMap::new();
        for lease in book.leases.values().filter(|l| !l.lost) {
            *running.entry(&lease.agent).or_default() += 1;
        }
        let mut list: Vec<Listed> = book
            .agents
            .iter()
            .map(|(id, agent)| Listed {
                id: id.clone(),
                name: agent.name.clone(),
                labels: agent.labels.clone(),
                facts: agent.facts.clone(),
                connected: is_connected(agent, now),
                running: running.get(id).copied().unwrap_or(0),
                last_seen: agent.last_seen,
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        list
    }
}

fn end_session(session: &Session, why: Close) {
    session
        .close
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(why);
    session.end.cancel();
}

fn is_connected(agent: &Agent, now: u64) -> bool {
    agent.session.is_some()
        && now.saturating_sub(agent.heartbeat_ms) <= limits::HEARTBEAT_MS * limits::HEARTBEATS_MISSED
}

fn candidate(id: &AgentId, agent: &Agent, now: u64) -> placement::Candidate {
    let session = agent.session.as_ref().filter(|_| is_connected(agent, now));
    placement::Candidate {
        id: id.clone(),
        name: agent.name.clone(),
        session: session.map(|s| s.id.clone()),
        labels: agent.labels.clone(),
        actions: agent.facts.actions.clone(),
        secrets: agent.facts.secrets.iter().cloned().collect(),
        connections: agent.facts.connections.iter().cloned().collect(),
        grants: agent.facts.grants.iter().cloned().collect(),
        runtimes: agent.facts.runtimes.iter().cloned().collect(),
        free: session.map_or(0, |s| {
            u32::try_from(s.granted.saturating_sub(s.offered)).unwrap_or(u32::MAX)
        }),
    }
}
