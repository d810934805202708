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
/// What version 2 is different in.
const LIMITS: &str = "limits";
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
        let length = if module == LIMITS { "" } else { "full_" };
        let name = format!("{length}{module}_on_cgroup_version_2");
        trials.push(Trial::test(name, move || in_guest(module)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn in_guest(module: &str) -> Result<(), Failed> {
    let program = std::env::current_exe()?;
    // A case looks whether its own environment, which cargo gave it, comes into a step.
    let script = format!(
        "{DAEMON}{INSIDE}=1 CARGO=of-the-host {} --test-threads 1 --color never {BRIDGED} {module}::\n\
         test -z \"$(docker ps --all --quiet)\"\n",
        program.display()
    );
    let told = guest::run(&script, PATIENCE)?;
    let ran = told.text.contains("test result: ok. ") && !told.text.contains("ok. 0 passed");
    if told.code == Some(0) && ran {
        return Ok(());
    }
    Err(format!("{:?} after\n{}", told.code, told.text).into())
}
