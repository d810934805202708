#![allow(clippy::unwrap_used, reason = "tests")]
mod findings;
mod group;
mod normalise;
