//! The agent: it dials the server, takes offers, runs steps in containers or as actions, and reports.
//!
//! ```text
//! session ─┐                                    ┌─▶ attempt (container, action)
//! heartbeat├─▶ supervisor (desk, spool) ────────┤
//! attempt ─┘                                    └─▶ logs ──▶ server (a connection of its own)
//! ```
//!
//! All that matters is on disk before it is told ([`run()`] of a second agent on the same directory goes on where the
//! first one ended), and containers are not its children: they live through its end.

mod attempt;
mod choose;
mod config;
mod context;
mod convert;
mod data_dir;
mod error;
mod file;
mod heartbeat;
pub mod hygiene;
mod idle;
mod image_store;
mod janitor;
mod link;
mod logs;
mod mask;
mod outputs;
mod registries;
mod run;
mod runtimes;
mod secrets;
mod session;
mod spool;
mod supervisor;
mod sweep;
mod vendors;

pub use config::{Config, Grant, GrantError, RuntimeChoice};
pub use error::AgentError;
pub use file::{AgentFile, RegistryLogin, Source, Sourced, TABLES, VaultPlace};
pub use images::Access as RegistryAccess;
pub use link::{Dial, Tcp};
pub use run::{Surroundings, run, run_in};
pub use secrets::SECRET_BYTES;
pub use vendors::Vendors;
