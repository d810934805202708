//! The actions against vendors' emulators: what goes wrong out there, and what is left behind.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bench;
mod changes;
mod datadog;
mod doubts;
mod faults;
mod headers;
mod hostile;
mod http;
mod kubernetes;
mod llm;
mod observed;
mod pagerduty;
mod people;
mod posts;
mod rooms;
mod vendor;
