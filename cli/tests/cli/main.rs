#![allow(clippy::unwrap_used, reason = "tests")]
//! The command line itself, without a server: configuration, output, completions.

mod completions;
mod config;
mod help;
mod home;
mod new;
mod output;
mod preview;
mod systemd;
