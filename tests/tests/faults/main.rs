//! Faults of processes, links, disks and clocks, each as a row of a table that the test prints. Judged by the witness
//! and by what is on the host, never by the product alone.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod alone;
mod artifacts;
mod backup;
mod cancel;
mod clock;
mod crash_loop;
mod deadly;
mod disk;
mod docker;
mod docker_calls;
mod docker_disk;
mod elsewhere;
mod flush;
mod freeze;
mod identity;
mod links;
mod loss;
mod neighbours;
mod pods;
mod points;
mod poison;
mod readonly;
mod scarce;
mod schedules;
mod timeouts;
