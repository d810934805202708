//! The commands, a file each.

pub(crate) mod actions;
pub(crate) mod agent;
pub(crate) mod agents;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod drain;
pub(crate) mod emulator;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod incident;
pub(crate) mod incidents;
pub(crate) mod logs;
pub(crate) mod plan;
pub(crate) mod put;
pub(crate) mod rerun;
pub(crate) mod resolve;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod server;
pub(crate) mod shim;
pub(crate) mod show;
pub(crate) mod sources;
pub(crate) mod watch;
pub(crate) mod workflows;
