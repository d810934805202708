//! The suite on the native runtime: real containers, as root.
#![allow(clippy::unwrap_used, reason = "tests")]

mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use conformance::Ids;
use runtime::LimitsBy;
use subject::OnThisHost;

fn main() -> ExitCode {
    let subject = OnThisHost {
        shim: PathBuf::from(env!("CARGO_BIN_EXE_firehall-shim-test")),
        ids: Ids::Range,
        limits: LimitsBy::Cgroup,
    };
    conformance::main(Box::leak(Box::new(subject)))
}
