//! The product as its users meet it. One binary, a module a subject.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod api;
mod artifacts;
mod bad_luck;
mod compose;
mod crash;
mod demo;
mod doctor;
mod faces;
mod flood;
mod full;
mod hostile;
mod http;
mod incident;
mod limits;
mod operate;
mod package;
mod podman;
mod previous;
mod quick;
mod registries;
mod rootless;
mod runtimes;
mod secrets;
mod services;
mod slack_faults;
mod sources;
mod system_units;
mod thread;
mod upgrade;
mod user_unit;
mod version2;
mod webhooks;
