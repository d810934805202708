//! What processes share: configuration files, clocks, named tasks, shutdown, backoff, guarded HTTP egress.

pub mod backoff;
pub mod clock;
pub mod config;
pub mod egress;
pub mod shutdown;
pub mod tasks;
