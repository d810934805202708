//! The suite where cgroup version 2 is alone, as root and as an ordinary user who was given a part of it: each module of it
//! in a guest of its own, which runs this very program.
#![allow(clippy::unwrap_used, reason = "tests")]

mod subject;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use conformance::Ids;
use libtest_mimic::{Arguments, Failed, Trial};
use runtime::LimitsBy;
use subject::OnThisHost;

/// Set in the guest, to who runs the suite there.
const INSIDE: &str = "FIREHALL_SUITE_IN_GUEST";
/// What version 2 is different in.
const LIMITS: &str = "limits";
/// What shows of each limit that it is held.
const HELD: &[&str] = &[
    "limits::the_main_process_over_its_memory_is_an_oom",
    "limits::the_process_limit_is_exact",
    "limits::a_processor_limit_holds",
];
const PATIENCE: Duration = Duration::from_secs(330);
/// What is given to the user, as systemd and whoever chowns it do.
const GIVEN: &str = "/sys/fs/cgroup/given";

/// Who runs the suite.
#[derive(Clone, Copy)]
enum As {
    Root,
    User,
}

fn main() -> ExitCode {
    match std::env::var(INSIDE).as_deref() {
        Ok("root") => return as_root(),
        Ok(_) => return as_user(),
        Err(_) => {}
    }
    let mut trials = Vec::new();
    for module in conformance::modules() {
        for (who, part) in [(As::Root, "version_2"), (As::User, "version_2_that_was_given")] {
            // What stands beside a step needs an agent that is root: there is no case of it (`conformance::main`).
            if matches!(who, As::User) && module == "beside" {
                continue;
            }
            // Which runs anyhow.
            if matches!(who, As::Root) && module == LIMITS {
                continue;
            }
            let all = vec![format!("{module}::")];
            trials.push(trial(format!("full_{module}_on_cgroup_{part}"), who, all));
        }
    }
    let limits = vec![format!("{LIMITS}::")];
    trials.push(trial("limits_on_cgroup_version_2".to_owned(), As::Root, limits));
    let held = HELD.iter().map(|case| format!("--exact {case}")).collect();
    trials.push(trial(
        "limits_on_cgroup_version_2_that_was_given".to_owned(),
        As::User,
        held,
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn as_root() -> ExitCode {
    let subject = OnThisHost {
        shim: PathBuf::from(env!("CARGO_BIN_EXE_firehall-shim-test")),
        ids: Ids::Range,
        limits: LimitsBy::Cgroup,
    };
    conformance::main(Box::leak(Box::new(subject)))
}

fn as_user() -> ExitCode {
    let (open, shim) = user::become_one();
    let subject = OnThisHost {
        shim,
        ids: Ids::Agent,
        limits: LimitsBy::Cgroup,
    };
    let code = conformance::main(Box::leak(Box::new(subject)));
    drop(open);
    code
}

/// Runs of the suite, each with its arguments.
fn trial(name: String, who: As, runs: Vec<String>) -> Trial {
    Trial::test(name, move || in_guest(who, &runs))
}

fn in_guest(who: As, runs: &[String]) -> Result<(), Failed> {
    let program = std::env::current_exe()?;
    let (word, mut script) = match who {
        As::Root => ("root", "test -f /sys/fs/cgroup/cgroup.controllers\n".to_owned()),
        As::User => ("user", given()),
    };
    for arguments in runs {
        // A user's agent begins where it was given, and once it has divided that, in its leaf. A case looks whether its own
        // environment, which cargo gave it, comes into a step.
        script += &format!(
            "(test {word} = root || echo 0 >{GIVEN}/firehall-agent/cgroup.procs || echo 0 >{GIVEN}/cgroup.procs\n\
             {INSIDE}={word} CARGO=of-the-host exec {} --test-threads 1 --color never {arguments})\n",
            program.display()
        );
    }
    script += "left=$(busybox find /sys/fs/cgroup -type d -name firehall)\n\
               test -z \"$left\" || { echo \"a cgroup stays: $left\"; exit 1; }\n";
    Ok(guest::passes(&script, runs.len(), PATIENCE)?)
}

/// Makes a group with all controllers the user's.
fn given() -> String {
    let user = user::USER;
    format!(
        "echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control\n\
         mkdir {GIVEN}\n\
         chown {user} {GIVEN} {GIVEN}/cgroup.procs {GIVEN}/cgroup.subtree_control {GIVEN}/cgroup.threads\n"
    )
}
