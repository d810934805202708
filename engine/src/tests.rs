//! What the engine promises, row by row, then under random schedules.
#![allow(clippy::unwrap_used, reason = "tests")]

mod attempts;
mod bench;
mod cancel;
mod docs;
mod edges;
mod fan_out;
mod follow;
mod golden;
mod lost;
mod outlook;
mod place;
mod reports;
mod rerun;
mod schedules;
mod time;
mod world;
