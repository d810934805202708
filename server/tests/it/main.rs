//! The server as its peers meet it: real tonic and HTTP on loopback, a scripted agent, a store in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

mod agent;
mod artifacts;
mod attempts;
mod bad;
mod deadlines;
mod faulty;
mod forms;
mod http;
mod large;
mod logs;
mod metrics;
mod operate;
mod pages;
mod plan;
mod reconnect;
mod run_pages;
mod runs;
mod s3;
mod slow;
mod stack;
mod store;
mod transport;
mod versions;
mod watch;
mod webhooks;
