//! The real server and the real agents on a simulated network, with simulated time, randomness, containers, disks and
//! artifacts.
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
//! TCP ([`net`]); the clock and the randomness are those of libc ([`machine`]). Server and agents run in slices of time
//! beside turmoil ([`process`]), whose hosts are their kernels ([`kernel`]): a crash drops a whole process between two
//! polls, a stop gives it no slice while the world goes on. One process runs one seed, and the same seed gives the same
//! record to the letter. Beside the seeds, one server and one agent live over a cable in memory ([`pair`]): [`cut`] is one
//! conversation, cut after each of its bytes, [`hours`] are a day of theirs.

pub mod cable;
pub mod cut;
pub mod disk;
pub mod faults;
pub mod hosts;
pub mod hours;
pub mod judge;
pub mod kernel;
pub mod machine;
pub mod net;
pub mod pair;
pub mod planted;
pub mod process;
pub mod record;
pub mod socket;
pub mod user;
pub mod work;
pub mod world;
pub mod yard;
