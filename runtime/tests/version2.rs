//! The suite where cgroup version 2 is alone: each module of it in a guest of its own, which runs this very program.
#![allow(clippy::unwrap_used, reason = "tests")]

mod subject;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use conformance::Ids;
use libtest_mimic::{Arguments, Failed, Trial};
use runtime::LimitsBy;
use subject::OnThisHost;

/// Set in the guest.
const INSIDE: &str = "FIREHALL_SUITE_IN_GUEST";
/// What version 2 does in other ways than version 1.
const DIFFERENT: &[&str] = &["limits"];
/// What is left to the run of all there: minutes, on one slow processor.
const LONG: &str = "limits::a_million_small_files_are_bounded";
const PATIENCE: Duration = Duration::from_secs(330);

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_some() {
        let subject = OnThisHost {
            shim: PathBuf::from(env!("CARGO_BIN_EXE_firehall-shim-test")),
            ids: Ids::Range,
            limits: LimitsBy::Cgroup,
        };
        return conformance::main(Box::leak(Box::new(subject)));
    }
    let modules = conformance::modules().into_iter();
    let all = modules
        .clone()
        .map(|module| trial(format!("full_{module}_on_cgroup_version_2"), module, ""));
    let ordinary = modules
        .filter(|module| DIFFERENT.contains(module))
        .map(|module| trial(format!("{module}_on_cgroup_version_2"), module, LONG));
    libtest_mimic::run(&Arguments::from_args(), all.chain(ordinary).collect()).exit_code()
}

/// The cases of a module but one.
fn trial(name: String, module: &'static str, but: &'static str) -> Trial {
    let skip = if but.is_empty() {
        String::new()
    } else {
        format!("--skip {but}")
    };
    Trial::test(name, move || in_guest(module, &skip))
}

fn in_guest(module: &str, skip: &str) -> Result<(), Failed> {
    let program = std::env::current_exe()?;
    // A case looks whether its own environment, which cargo gave it, comes into a step.
    let script = format!(
        "test -f /sys/fs/cgroup/cgroup.controllers\n\
         {INSIDE}=1 CARGO=of-the-host {} --test-threads 1 --color never {skip} {module}::\n\
         left=$(busybox find /sys/fs/cgroup -type d -name firehall)\n\
         test -z \"$left\" || {{ echo \"a cgroup stays: $left\"; exit 1; }}\n",
        program.display()
    );
    let told = guest::run(&script, PATIENCE)?;
    let ran = told.text.contains("test result: ok. ") && !told.text.contains("test result: ok. 0 passed");
    if told.code == Some(0) && ran {
        return Ok(());
    }
    Err(format!("{:?} after\n{}", told.code, told.text).into())
}
