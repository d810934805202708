//! Vendors' HTTP APIs, faked faithfully and with state, for the demo, drills and tests only.
//!
//! An emulator keeps the vendor's documented rules, including the awkward ones (short pages, errors in
//! an HTTP 200, limits that bite), so that a program which works here has met them before production.

pub mod datadog;
pub mod github;
pub mod kubernetes;
pub mod llm;
pub mod loki;
pub mod pagerduty;
pub mod prometheus;
mod running;
pub mod slack;
pub mod stage;
pub mod vault;
