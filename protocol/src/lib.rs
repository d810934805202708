//! The life of one attempt as two pure state machines: the server's ([`server::Attempt`]) and the agent's
//! ([`agent::Desk`]). No clock, no IO, no randomness; an input that makes no sense is a value, never a panic.
//! `docs/protocol.md` has the same machines as tables, which `tests/tables.rs` holds against this code, and
//! `tests/explorer` explores every interleaving of both with crashes and a bad network.

pub mod agent;
pub mod server;
pub mod session;
mod words;

pub use words::{Decline, Held, Report, Resolution};

/// The machines over Firehall's own ids.
pub mod ids {
    use types::{AgentId, AttemptReport, LeaseToken, SessionId};

    use crate::{agent, server};

    /// The server's side of one attempt.
    pub type Attempt = server::Attempt<LeaseToken, AgentId, SessionId>;
    /// Its state.
    pub type State = server::State<LeaseToken, AgentId, SessionId>;
    /// Where it was offered.
    pub type Lease = server::Lease<LeaseToken, AgentId, SessionId>;
    /// What happens to it.
    pub type Input = server::Input<LeaseToken, AgentId, SessionId>;
    /// What is appended of it.
    pub type Event = server::Event<LeaseToken, AgentId, SessionId>;
    /// What is sent about it.
    pub type Send = server::Send<LeaseToken, AgentId, SessionId>;
    /// The answer to an input.
    pub type Step = server::Step<LeaseToken, AgentId, SessionId>;
    /// The agent's side.
    pub type Desk = agent::Desk<LeaseToken, SessionId, AttemptReport>;
    /// One lease on the agent's disk.
    pub type DeskLease = agent::Lease<SessionId, AttemptReport>;
    /// What happens at an agent.
    pub type DeskInput = agent::Input<LeaseToken, SessionId, AttemptReport>;
    /// What an agent is to do.
    pub type Action = agent::Action<LeaseToken, SessionId, AttemptReport>;
}
