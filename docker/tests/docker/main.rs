//! The Docker runtime against a real daemon.
#![allow(clippy::unwrap_used, reason = "tests")]

mod daemon;
mod egress;
mod ends;
mod images;
mod made;
mod secrets;
#[path = "../service/mod.rs"]
mod service;
mod support;
