//! The real server and the real agents on a simulated network, with simulated time, randomness, containers and disks.
//!
//! ```text
//! seed ─▶ faults ─▶ turmoil: partitions, held and lost messages, latency, crashes
//!                     │
//!  user ── gRPC ──▶ server::run_on ── disk (the store in memory, slow)
//!                     ▲
//!            agent::run_in ×2 ── yard (containers that outlive the agent) ── data directory (outlives it too)
//!                                  │
//!                               record ─▶ judge
//! ```
//!
//! What is simulated is what stands around the program, never the program: the transport is tonic's own, over turmoil's
//! TCP ([`net`]); the clock and the randomness are those of libc ([`machine`]); a crash drops a whole process between
//! two polls. One process runs one seed, and the same seed gives the same record to the letter.

pub mod disk;
pub mod faults;
pub mod judge;
pub mod machine;
pub mod net;
pub mod planted;
pub mod record;
pub mod user;
pub mod world;
pub mod yard;
