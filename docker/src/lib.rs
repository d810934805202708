//! The Docker runtime: each step in a fresh hardened container of a Docker or Podman daemon, reached by its socket.
//!
//! What the native runtime's shim does outside, our own pid 1 does **inside** ([`inside`]): the agent's program is bound
//! read-only into the container and started by the host's dynamic loader, so any Linux image of the host's processor will
//! do. It asks at a **door** (a Unix socket in the attempt's directory, open for its first caller only) for its job, its
//! secrets and a handful of open files. So
//!
//! - no secret is in the daemon's configuration, in an argument or in a file, unless the step wants it as a file: then pid 1
//!   writes it into the container's memory;
//! - output goes from the step's pipes straight into the attempt's capped files: nothing passes the daemon, nothing is
//!   lost or doubled when the agent or the daemon restarts, and the daemon's own log stays empty;
//! - timeout, grace and the exit record do not need the agent or the daemon to be alive;
//! - what is in force is read back from inside before the program runs, and a step that is not contained is not run.
//!
//! The attempt's directory is as the native runtime's ([`runtime`]), with these differences:
//!
//! | file | what |
//! |---|---|
//! | `door/` | bound into the container; the socket in it is gone once it was answered |
//! | `inside.json` | the record of our pid 1, written by it through an open file, with a newline at its end |
//! | `alive` | locked by our pid 1 for its life |
//! | `halt` | a FIFO that our pid 1 reads: a byte in it is the wish to stop |
//! | `exit.json` | that record, completed with what the daemon says |

mod attempt;
mod auth;
mod body;
mod connection;
mod door;
mod egress;
mod elf;
mod follow;
mod host_image;
mod image;
pub mod inside;
mod kit;
mod memory;
mod oci;
mod probe;
mod reference;
mod remap;
mod runtime_impl;
mod seen;
mod start;
mod user;
mod wire;

pub use auth::{Credentials, Logins, Registries};
pub use connection::{DockerError, Host, HostError};
pub use egress::egress_supported;
pub use oci::OciRuntime;
pub use probe::{Limits, Seen, probe};
pub use runtime_impl::{Docker, Owned, Settings};
