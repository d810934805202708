//! The agents as of now: their sessions, their free slots, and the book of leases. All of it can be made anew: agents
//! say Hello again, and leases are re-armed in full from the histories.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use engine::placement;
use proto::v1;
use protocol::Held;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use types::{AgentId, Labels, LeaseToken, Placement, Policy, SessionId, Timestamp, limits};

use crate::clock::{Clock, entropy};

mod leases;
mod listening;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

pub(crate) use leases::Lease;

/// What an agent holds, by its last Hello.
pub(crate) type Inventory = Arc<BTreeMap<LeaseToken, Held>>;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Facts {
    pub(crate) version: String,
    pub(crate) capacity: u32,
    pub(crate) runtimes: Vec<String>,
    /// What they offer beyond what all do; one that is not here does not say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) offers: BTreeMap<String, BTreeSet<String>>,
    pub(crate) actions: BTreeMap<String, String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) connections: Vec<String>,
    pub(crate) grants: Vec<String>,
    /// Which limits do not hold a step as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) limits: String,
    /// None when it says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared")]
    pub(crate) policy: Option<Arc<Policy>>,
}

/// A policy that every snapshot shares, in its stored form.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use types::Policy;

    pub(super) fn serialize<S: Serializer>(policy: &Option<Arc<Policy>>, to: S) -> Result<S::Ok, S::Error> {
        policy.as_deref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<Policy>>, D::Error> {
        Ok(Option::<Policy>::deserialize(from)?.map(Arc::new))
    }
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
    /// Of the newest Hello that was opened here.
    dial: u64,
    /// As its last heartbeat said.
    stats: Option<v1::AgentStats>,
}

/// Its stream.
#[derive(Debug)]
struct Session {
    id: SessionId,
    /// The agent's process; empty when it does not say which.
    instance: String,
    /// Messages heard of it; none when it does not answer probes.
    heard: Option<watch::Sender<u64>>,
    down: mpsc::Sender<v1::SessionDown>,
    /// Ends the stream; whoever cancels it says why in `close`.
    end: CancellationToken,
    close: Arc<Mutex<Option<Close>>>,
    held: Inventory,
    granted: u64,
    offered: u64,
    /// It declined for want of a slot: nothing is offered until it grants anew.
    full: bool,
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
    /// A defect kept a report from its run: the agent must send it again.
    Unheard,
    /// It is old, or has many tombstones: a new Hello lets them go.
    Renew,
}

/// What an agent says in its Hello.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) facts: Facts,
    pub(crate) dial: u64,
    pub(crate) instance: String,
    pub(crate) answers_probes: bool,
    /// The process before this one ended without being told to.
    pub(crate) crashed: bool,
    pub(crate) held: Inventory,
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
    pub(crate) draining: bool,
    /// As its last heartbeat said.
    pub(crate) stats: Option<v1::AgentStats>,
}

impl Listed {
    /// It is offered nothing new, and nothing is out there any more.
    pub(crate) const fn is_drained(&self) -> bool {
        self.draining && self.running == 0
    }
}

/// A session as its stream's task holds it.
#[derive(Debug)]
pub(crate) struct Opened {
    /// See [`Introduction::crashed`].
    pub(crate) crashed: bool,
    pub(crate) down: mpsc::Receiver<v1::SessionDown>,
    pub(crate) end: CancellationToken,
    pub(crate) close: Arc<Mutex<Option<Close>>>,
}

#[derive(Debug, Default)]
struct Book {
    agents: BTreeMap<AgentId, Agent>,
    /// Those that are offered nothing new, as the store has it.
    drained: BTreeSet<AgentId>,
    leases: leases::Leases,
    listening: listening::Listening,
}

/// The registry.
#[derive(Debug)]
pub(crate) struct Agents {
    book: Mutex<Book>,
    changed: watch::Sender<u64>,
    clock: Clock,
}

/// How long a process has to say that it lives when another one says to be the same agent: longer than a round trip over
/// the slowest link and a busy moment, shorter than the keepalive.
const PROBE: std::time::Duration = std::time::Duration::from_secs(5);
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
            dial: 0,
            stats: None,
        };
        self.book().agents.entry(id).or_insert(agent);
    }

    /// A Hello that the store took: supersedes the older session, and renews the leases that it holds. Nothing is
    /// offered before `grant`. None when a later dial was opened meanwhile: this one is no news any more.
    pub(crate) fn open(&self, id: &AgentId, session: SessionId, hello: Introduction) -> Option<Opened> {
        let (tx, rx) = mpsc::channel(DOWN_MESSAGES);
        let end = CancellationToken::new();
        let close = Arc::new(Mutex::new(None));
        let now = self.clock.monotonic_ms();
        let mut book = self.book();
        if book.agents.get(id).is_some_and(|known| known.dial >= hello.dial) {
            return None;
        }
        for token in hello.held.keys() {
            book.renew(id, token, now);
        }
        let fresh = Session {
            id: session,
            instance: hello.instance,
            heard: hello.answers_probes.then(|| watch::Sender::new(0)),
            down: tx,
            end: end.clone(),
            close: Arc::clone(&close),
            held: hello.held,
            granted: 0,
            offered: 0,
            full: false,
        };
        let agent = Agent {
            name: hello.name,
            labels: hello.labels,
            facts: hello.facts,
            session: Some(fresh),
            last_seen: self.clock.now(),
            heartbeat_ms: now,
            dial: hello.dial,
            stats: None,
        };
        let older = book.agents.insert(id.clone(), agent);
        if let Some(session) = older.and_then(|agent| agent.session) {
            end_session(&session, Close::Superseded);
        }
        Some(Opened {
            crashed: hello.crashed,
            down: rx,
            end,
            close,
        })
    }

    /// Whether another process than this one is connected as this agent, and lives: it is asked, and has some seconds
    /// to answer.
    pub(crate) async fn is_another(&self, id: &AgentId, instance: &str) -> bool {
        let Some(other) = self.other(id, instance) else {
            return false;
        };
        // One of a version that cannot be asked counts as alive until its connection is found dead.
        let Some(mut heard) = other else { return true };
        let message = Some(v1::session_down::Message::Probe(v1::Probe {}));
        self.send(id, None, v1::SessionDown { message });
        let answer = tokio::time::timeout(PROBE, heard.changed()).await;
        // Its stream ended meanwhile: it is gone.
        answer.is_ok_and(|heard| heard.is_ok()) && self.other(id, instance).is_some()
    }

    /// The session of another process: what is heard of it, where that can be told.
    fn other(&self, id: &AgentId, instance: &str) -> Option<Option<watch::Receiver<u64>>> {
        let now = self.clock.monotonic_ms();
        let book = self.book();
        let since = book.listening.since(now);
        let connected = book.agents.get(id).filter(|agent| agent.is_connected(since, now));
        let session = connected.and_then(|agent| agent.session.as_ref());
        let session = session.filter(|session| session.is_of_another(instance))?;
        Some(session.heard.as_ref().map(watch::Sender::subscribe))
    }

    /// A message came from the agent's session.
    pub(crate) fn heard(&self, id: &AgentId, session: &SessionId) {
        let book = self.book();
        let current = book.agents.get(id).and_then(|agent| agent.session.as_ref());
        if let Some(heard) = current
            .filter(|s| s.id == *session)
            .and_then(|s| s.heard.as_ref())
        {
            heard.send_modify(|n| *n += 1);
        }
    }

    /// The stream is gone. That of an older session changes nothing.
    pub(crate) fn closed(&self, id: &AgentId, session: &SessionId) {
        let mut book = self.book();
        if let Some(agent) = book.agents.get_mut(id)
            && agent.session.as_ref().is_some_and(|s| s.id == *session)
        {
            agent.session = None;
            agent.last_seen = self.clock.now();
        }
    }

    /// Ends an agent's session from here: from now on it is offered nothing and told nothing.
    pub(crate) fn close(&self, id: &AgentId, why: Close) {
        let mut book = self.book();
        if let Some(session) = book.agents.get_mut(id).and_then(|agent| agent.session.take()) {
            end_session(&session, why);
        }
    }

    /// Whether this is the agent's session of now.
    pub(crate) fn is_current(&self, id: &AgentId, session: &SessionId) -> bool {
        let book = self.book();
        let current = book.agents.get(id).and_then(|agent| agent.session.as_ref());
        current.is_some_and(|current| current.id == *session)
    }

    /// Credits: offers in all that the session takes. What was granted before is no news: it answers a probe.
    pub(crate) fn grant(&self, id: &AgentId, session: &SessionId, total: u64) {
        let mut book = self.book();
        let current = book.agents.get_mut(id).and_then(|a| a.session.as_mut());
        if let Some(s) = current.filter(|s| s.id == *session && total > s.granted) {
            s.granted = total;
            s.full = false;
            drop(book);
            self.touch();
        }
    }

    /// The agent declined an offer of this session for want of a slot. An old decline that is said again because its
    /// acknowledgement was lost is not news: its lease is not of this session, or not known any more.
    pub(crate) fn full(&self, id: &AgentId, session: &SessionId, token: &LeaseToken) {
        let mut book = self.book();
        let of_now = book
            .leases
            .get(token)
            .is_some_and(|leased| leased.agent == *id && leased.session == *session);
        if let Some(s) = book.agents.get_mut(id).and_then(|a| a.session.as_mut())
            && of_now
            && s.id == *session
        {
            s.full = true;
        }
    }

    /// Whether an agent is offered nothing new from now on; the store knows it already.
    pub(crate) fn drain(&self, id: &AgentId, draining: bool) {
        let mut book = self.book();
        if draining {
            book.drained.insert(id.clone());
        } else {
            book.drained.remove(id);
        }
        drop(book);
        self.touch();
    }

    /// The agents for a decision.
    pub(crate) fn snapshot(&self) -> placement::Snapshot {
        self.book().snapshot(self.clock.monotonic_ms())
    }

    /// Places an attempt and takes a slot of the agent.
    ///
    /// # Errors
    /// In words, why no agent takes it now.
    pub(crate) fn reserve(&self, wanted: &placement::Wanted<'_>) -> Result<Placement, String> {
        let now = self.clock.monotonic_ms();
        // One look and one change under one lock: else two runs choose the same slot, and the loser waits although
        // another agent is free.
        let mut book = self.book();
        let since = book.listening.since(now);
        if !book
            .agents
            .values()
            .any(|agent| agent.is_connected(since, now) && agent.free() > 0)
        {
            return Err("no agent has a free slot".to_owned());
        }
        let snapshot = book.snapshot(now);
        let chosen = placement::place(&snapshot, wanted)?;
        let session = book
            .agents
            .get_mut(&chosen.id)
            .and_then(|agent| agent.session.as_mut())
            .ok_or_else(|| format!("{} is disconnected", chosen.name))?;
        session.offered += 1;
        Ok(Placement {
            agent: chosen.id.clone(),
            agent_name: chosen.name.clone(),
            session: session.id.clone(),
            token: LeaseToken::new(self.clock.now(), entropy()),
        })
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
        drop(book);
        self.touch();
    }

    /// Sends to the agent's session; with `only`, to no other session than that. Without one the message is dropped:
    /// the next Hello reconciles.
    pub(crate) fn send(&self, id: &AgentId, only: Option<&SessionId>, message: v1::SessionDown) {
        let mut book = self.book();
        let Some(agent) = book.agents.get_mut(id) else {
            return;
        };
        let Some(session) = &agent.session else { return };
        if only.is_none_or(|only| *only == session.id) && session.down.try_send(message).is_err() {
            end_session(session, Close::Slow);
            agent.session = None;
        }
    }

    /// The session of now and what its Hello held.
    pub(crate) fn current(&self, id: &AgentId) -> Option<(SessionId, Inventory)> {
        let book = self.book();
        let session = book.agents.get(id)?.session.as_ref()?;
        Some((session.id.clone(), Arc::clone(&session.held)))
    }

    /// All agents, by name.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let now = self.clock.monotonic_ms();
        let book = self.book();
        let since = book.listening.since(now);
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
                connected: agent.is_connected(since, now),
                running: running.get(id).copied().unwrap_or(0),
                last_seen: agent.last_seen,
                draining: book.drained.contains(id),
                stats: agent.stats,
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        list
    }
}

impl Session {
    /// Whether another process of the agent holds it; where one does not say which it is, nobody knows.
    fn is_of_another(&self, instance: &str) -> bool {
        !self.instance.is_empty() && !instance.is_empty() && self.instance != instance
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

impl Agent {
    /// It has a session and its heartbeats come; those that the server was not there to hear are not missed.
    fn is_connected(&self, heard_since: u64, now: u64) -> bool {
        let last = self.heartbeat_ms.max(heard_since);
        self.session.is_some() && now.saturating_sub(last) <= limits::HEARTBEAT_MS * limits::HEARTBEATS_MISSED
    }

    /// Offers that it takes now.
    fn free(&self) -> u32 {
        self.session.as_ref().filter(|s| !s.full).map_or(0, |s| {
            u32::try_from(s.granted.saturating_sub(s.offered)).unwrap_or(u32::MAX)
        })
    }
}

impl Book {
    fn snapshot(&self, now: u64) -> placement::Snapshot {
        let since = self.listening.since(now);
        let agents = self.agents.iter().map(|(id, agent)| {
            let draining = self.drained.contains(id);
            candidate(id, agent, draining, agent.is_connected(since, now))
        });
        placement::Snapshot {
            agents: agents.collect(),
        }
    }
}

fn runtimes(facts: &Facts) -> BTreeMap<String, Option<BTreeSet<String>>> {
    let offers = |name: &String| (name.clone(), facts.offers.get(name).cloned());
    facts.runtimes.iter().map(offers).collect()
}

fn candidate(id: &AgentId, agent: &Agent, draining: bool, connected: bool) -> placement::Candidate {
    let session = agent.session.as_ref().filter(|_| connected);
    placement::Candidate {
        id: id.clone(),
        name: agent.name.clone(),
        session: session.map(|s| s.id.clone()),
        labels: agent.labels.clone(),
        actions: agent.facts.actions.clone(),
        secrets: agent.facts.secrets.iter().cloned().collect(),
        connections: agent.facts.connections.iter().cloned().collect(),
        grants: agent.facts.grants.iter().cloned().collect(),
        policy: agent.facts.policy.clone(),
        runtimes: runtimes(&agent.facts),
        draining,
        free: if session.is_some() { agent.free() } else { 0 },
    }
}
