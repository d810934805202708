//! The modelled world and what must never be seen in it.

use std::collections::BTreeMap;

use protocol::agent::{Action, Desk, Lease, Message, Phase};
use protocol::server::{self, Attempt};
use protocol::session::Gate;
use protocol::{Held, Resolution};

/// A planted bug. Each lives in the model, around the same machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// An acknowledged lease leaves nothing behind.
    ForgetTombstones,
    /// A restarted agent does not look whether the container is there.
    NoAdoption,
    /// A result is dropped when it was sent, not when it was acknowledged.
    DropSpoolOnSend,
    /// The end of a lease hands the attempt out again.
    RerunOnExpiry,
    /// The server takes every Hello, however old.
    NoGate,
    /// The agent takes offers of dead sessions.
    NoEpoch,
    /// The agent takes an absent container for one never started, whatever boot its intent is of.
    NoBoot,
}

/// The size of a world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    /// By step: the steps that must have succeeded.
    pub(crate) needs: &'static [&'static [usize]],
    pub(crate) agents: usize,
    pub(crate) slots: u32,
    /// Crashes of agent processes, over all agents.
    pub(crate) crashes: u8,
    /// Reboots of agent hosts.
    pub(crate) reboots: u8,
    /// Attempts of one step, the first included.
    pub(crate) tries: u8,
    /// Messages in flight.
    pub(crate) network: usize,
    /// Records of one attempt on an agent's disk beyond which it is not offered again (search only).
    pub(crate) records: usize,
    pub(crate) with_stop: bool,
    /// Whether agents notice by themselves that a lease is over.
    pub(crate) agents_expire: bool,
    pub(crate) resolutions: &'static [Resolution],
    /// Every interleaving, for walks. The search leaves out what is as good as a way that it takes: others' moves
    /// between an agent's decision and its actions (they commute), dialling again while the last dial may still
    /// be answered, and a server without sessions (one with sessions that are dead unknown to it may do more).
    pub(crate) full: bool,
    pub(crate) mutation: Option<Mutation>,
}

/// A lease token: unique while anything in the world still names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token {
    pub(crate) step: u8,
    pub(crate) attempt: u8,
    pub(crate) serial: u8,
}

pub(crate) type Agent = u8;
pub(crate) type Session = u64;
pub(crate) type Outcome = u8;
pub(crate) type ServerLease = server::Lease<Token, Agent, Session>;
pub(crate) type ServerAttempt = Attempt<Token, Agent, Session>;
pub(crate) type AgentDesk = Desk<Token, Session, Outcome>;
pub(crate) type AgentLease = Lease<Session, Outcome>;
pub(crate) type AgentAction = Action<Token, Session, Outcome>;

/// The exit of a container that ended by itself; it counts as success.
pub(crate) const DONE: Outcome = 0;
/// The exit of one that was ended.
pub(crate) const KILLED: Outcome = 9;

/// A message in flight; `.0` is the agent at the one end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wire {
    Hello {
        dial: u64,
        inventory: Vec<(Token, Held)>,
    },
    Report {
        token: Token,
        report: Message<Outcome>,
    },
    Welcome(Session),
    Offer(Token, Session),
    Ack(Token),
    Stop(Token),
    Forget(Token),
}

/// A container as it really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Container {
    Running,
    Exited(Outcome),
    /// Gone with its host's reboot, or perhaps never there: nothing is known.
    Vanished,
    /// Removed; kept here as the truth that a result is compared with.
    Removed(Outcome),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AgentSide {
    pub(crate) desk: AgentDesk,
    /// What a crash leaves.
    pub(crate) disk: BTreeMap<Token, AgentLease>,
    /// Actions decided and not yet carried out; a crash loses them.
    pub(crate) pending: Vec<AgentAction>,
    /// The session that the server believes in.
    pub(crate) live: Option<Session>,
    pub(crate) gate: Gate,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StepSide {
    pub(crate) attempt: ServerAttempt,
    /// Which try, from 1.
    pub(crate) number: u8,
    /// The result that was accepted of this try.
    pub(crate) result: Option<Outcome>,
    /// The witness: starts of each try in the world, whatever either side believes.
    pub(crate) starts: BTreeMap<u8, u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) steps: Vec<StepSide>,
    pub(crate) agents: Vec<AgentSide>,
    pub(crate) net: Vec<(Agent, Wire)>,
    pub(crate) containers: BTreeMap<(Agent, Token), Container>,
    pub(crate) crashes: u8,
    pub(crate) reboots: u8,
    pub(crate) stop_asked: bool,
}

/// What must not be.
pub(crate) type Checked = Result<(), String>;

pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        let agent = AgentSide {
            desk: Desk::restore(config.slots, 0, BTreeMap::new()),
            disk: BTreeMap::new(),
            pending: Vec::new(),
            live: None,
            gate: Gate::default(),
        };
        let step = StepSide {
            attempt: Attempt::default(),
            number: 1,
            result: None,
            starts: BTreeMap::new(),
        };
        Self {
            steps: vec![step; config.needs.len()],
            agents: vec![agent; config.agents],
            net: Vec::new(),
            containers: BTreeMap::new(),
            crashes: config.crashes,
            reboots: config.reboots,
            stop_asked: false,
        }
    }

    /// Into the network; what does not fit is lost. A multiset: its order says nothing.
    pub(crate) fn send(&mut self, config: &Config, agent: Agent, wire: Wire) {
        if self.net.len() < config.network {
            let message = (agent, wire);
            let at = self.net.partition_point(|other| *other < message);
            self.net.insert(at, message);
        }
    }

    /// The attempt that a token was made for, where it still is the step's.
    pub(crate) fn is_current(&self, token: Token) -> bool {
        let step = &self.steps[usize::from(token.step)];
        step.attempt.lease().is_some_and(|lease| lease.token == token)
    }

    /// Whether the step counts as succeeded; none while open.
    pub(crate) fn success(&self, step: usize) -> Option<bool> {
        let side = &self.steps[step];
        match side.attempt.state() {
            server::State::Finished { .. } => Some(side.result == Some(DONE)),
            server::State::Settled { resolution, .. } => Some(*resolution == Resolution::Succeeded),
            server::State::Withdrawn => Some(false),
            _ => None,
        }
    }

    /// Whether nothing is left to do: every step over or without its needs, spools empty, no container left.
    pub(crate) fn is_clean(&self, config: &Config) -> bool {
        let mut ends: Vec<Option<bool>> = Vec::new();
        for (step, needs) in config.needs.iter().enumerate() {
            let unmet = needs.iter().any(|need| ends[*need] == Some(false));
            ends.push(if unmet { Some(false) } else { self.success(step) });
        }
        ends.iter().all(Option::is_some)
            && self
                .containers
                .values()
                .all(|c| matches!(c, Container::Removed(_) | Container::Vanished))
            && self.agents.iter().all(|agent| {
                agent.pending.is_empty() && agent.disk.values().all(|l| l.phase == Phase::Tombstone)
            })
    }
}
