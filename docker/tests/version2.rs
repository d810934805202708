//! The suite on the Docker runtime where cgroup version 2 is alone, as on today's hosts: each module of it with a daemon of its own,
//! in a guest that runs this very program.
#![allow(clippy::unwrap_used, reason = "tests")]

mod subject;

use std::process::ExitCode;
use std::time::Duration;

use docker::Host;
use libtest_mimic::{Arguments, Failed, Trial};
use subject::OnDaemon;

/// Set in the guest.
const INSIDE: &str = "FIREHALL_SUITE_IN_GUEST";
/// What shows of each limit that it is held, and told.
const HELD: &[&str] = &[
    "limits::the_main_process_over_its_memory_is_an_oom",
    "limits::the_process_limit_is_exact",
    "limits::a_processor_limit_holds",
    "limits::the_record_says_what_is_in_force",
];
const PATIENCE: Duration = Duration::from_secs(330);
/// Cases of `network: egress`: the guest's kernel has no bridges that a daemon could use.
const BRIDGED: &str = "--skip beside::they_reach_the_world_as_one --skip network::egress_ \
                       --skip network::no_network_lets_a_step_forge_packets";
const DAEMON: &str = r"
test -f /sys/fs/cgroup/cgroup.controllers
mkdir /run/docker-data
dockerd --data-root /run/docker-data --exec-root /run/docker-exec --pidfile /run/dockerd.pid --bridge none --iptables=false \
  --ip6tables=false >/run/dockerd.log 2>&1 &
n=0
until docker version >/dev/null 2>&1; do
  n=$((n + 1))
  test $n -lt 300 || { cat /run/dockerd.log; exit 1; }
  sleep 0.2
done
docker info --format '{{.CgroupVersion}}' | grep -x 2
";

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_some() {
        return conformance::main(&OnDaemon {
            host: || Host::find().unwrap(),
            podman: false,
        });
    }
    let mut trials = Vec::new();
    for module in conformance::modules() {
        let all = vec![format!("{BRIDGED} {module}::")];
        trials.push(trial(format!("full_{module}_on_cgroup_version_2"), all));
    }
    let held = HELD.iter().map(|case| format!("--exact {case}")).collect();
    trials.push(trial("limits_on_cgroup_version_2".to_owned(), held));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs of the suite, each with its arguments.
fn trial(name: String, runs: Vec<String>) -> Trial {
    Trial::test(name, move || in_guest(&runs))
}

fn in_guest(runs: &[String]) -> Result<(), Failed> {
    let program = std::env::current_exe()?;
    let mut script = DAEMON.to_owned();
    for arguments in runs {
        // A case looks whether its own environment, which cargo gave it, comes into a step.
        script += &format!(
            "{INSIDE}=1 CARGO=of-the-host {} --test-threads 1 --color never {arguments}\n",
            program.display()
        );
    }
    script += "test -z \"$(docker ps --all --quiet)\"\n";
    Ok(guest::passes(&script, runs.len(), PATIENCE)?)
}
