//! What processes share: configuration files, clocks, named tasks, blocking work, shutdown, backoff, guarded HTTP egress.

pub mod backoff;
pub mod blocking;
pub mod clock;
pub mod config;
pub mod egress;
pub mod shutdown;
pub mod tasks;
