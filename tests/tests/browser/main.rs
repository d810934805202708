//! The product in a real browser: each test starts a stack and lets a script of `tests/browser/` drive Chromium.

#![allow(clippy::unwrap_used, reason = "tests")]

mod accessible;
mod artifacts;
mod flows;
mod forms;
mod grpc_web;
mod hostile;
mod scale;
mod world;
