//! What processes share: configuration files, clocks, named tasks, blocking work, systemd, backoff, guarded HTTP egress.

pub mod backoff;
pub mod blocking;
pub mod clock;
pub mod config;
pub mod egress;
pub mod memory;
pub mod notify;
pub mod tasks;
