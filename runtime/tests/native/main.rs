//! What is particular to the native runtime: its shim, its root, its cgroups. What every runtime must do is in
//! `conformance`. Real containers, as root; every wait is bounded.
#![allow(clippy::unwrap_used, reason = "tests")]

mod adoption;
mod cleanup;
mod egress;
mod forks;
mod root;
mod support;
