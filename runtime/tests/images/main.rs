//! Images on the native runtime: real registries, real layers, real containers, as root. Every wait is bounded.
#![allow(clippy::unwrap_used, reason = "tests")]

mod build;
mod fetch;
mod hostile;
mod keep;
mod registry;
mod run;
mod support;
