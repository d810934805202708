//! node
pub mod backoff;
pub mod egress;
