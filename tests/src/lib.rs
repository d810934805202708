//! What the end-to-end tests stand on: the real binary in real processes, a witness that the product never reads, and
//! a plain HTTP client. Every wait is bounded.

pub mod between;
pub mod browser;
pub mod disk;
pub mod docker;
pub mod gate;
pub mod http;
pub mod ledger;
pub mod podman;
pub mod port;
pub mod previous;
pub mod process;
pub mod proxy;
pub mod python;
pub mod random;
pub mod registry;
pub mod scene;
pub mod schedule;
pub mod slack;
pub mod stack;
pub mod wait;
pub mod witness;

pub use stack::Stack;
pub use witness::Witness;
