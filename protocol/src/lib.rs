//! The life of one attempt as two pure state machines: the server's ([`server::Attempt`]) and the agent's
//! ([`agent::Desk`]). No clock, no IO, no randomness; an input that makes no sense is a value, never a panic.
//! `docs/protocol.md` has the same machines as tables, which `tests/tables.rs` holds against this code, and
//! `tests/explorer` explores every interleaving of both with crashes and a bad network.

pub mod agent;
pub mod server;
pub mod session;
mod words;

pub use words::{Decline, Held, Report, Resolution};
