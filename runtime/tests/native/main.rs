//! The native runtime against the real kernel: real containers, as root. Every wait is bounded.
#![allow(clippy::unwrap_used, reason = "tests")]

mod adoption;
mod cleanup;
mod ends;
mod hardening;
mod isolation;
mod limits;
mod output;
mod support;
