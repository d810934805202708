//! The agent against a server that does as it is told: real gRPC, real processes, real containers.
//!
//! Containers need root on a Linux host; where the native runtime does not work, these tests fail and say why.

#![allow(clippy::unwrap_used, reason = "tests")]

mod actions;
mod adoption;
mod containers;
mod fake;
mod hostile;
mod leftovers;
mod logs;
mod process;
mod secrets;
mod services;
mod wire;
mod work;
