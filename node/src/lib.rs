//! What processes share: clocks, named tasks, shutdown, backoff, guarded HTTP egress.

pub mod backoff;
pub mod clock;
pub mod egress;
pub mod shutdown;
pub mod tasks;
