//! node
pub mod backoff;
pub mod clock;
pub mod egress;
pub mod shutdown;
pub mod tasks;
