//! The suite on the Docker runtime: real containers of this host's daemon.
#![allow(clippy::unwrap_used, reason = "tests")]

mod subject;

use std::process::ExitCode;

use docker::Host;
use subject::OnDaemon;

fn main() -> ExitCode {
    conformance::main(&OnDaemon {
        host: || Host::find().unwrap(),
        podman: false,
    })
}
