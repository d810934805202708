//! The product on a host with cgroup version 2 alone: tests of this very program, run in a guest.

use std::{path::Path, time::Duration};

use e2e::process;

const PATIENCE: Duration = Duration::from_secs(330);

/// What an agent must do, whoever it is.
const HELD: &[&str] = &[
    "limits::an_exit_code_a_signal_a_timeout_and_oom_are_told_apart",
    "limits::a_fork_bomb_stays_in_its_limit",
    "crash::kill_9_of_the_agent_during_a_step",
    "limits::nothing_of_finished_attempts_stays_behind",
];

/// Runs a script in a guest, after which as many tests must have passed.
fn in_guest(script: &str, tests: usize) {
    let told = guest::run(script, PATIENCE).unwrap();
    let all = format!("test result: ok. {tests} passed");
    assert!(
        told.code == Some(0) && told.text.contains(&all),
        "{:?} after\n{}",
        told.code,
        told.text
    );
}

fn arguments(tests: &[&str]) -> String {
    format!("--test-threads 1 --color never --exact {}", tests.join(" "))
}

#[test]
fn an_agent_on_cgroup_version_2_holds_limits_and_takes_up_what_it_left() {
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "cat /sys/fs/cgroup/cgroup.controllers\n{} {}\n",
        program.display(),
        arguments(HELD)
    );
    in_guest(&script, HELD.len());
}

/// A user to whom root gives a part of the hierarchy, as systemd does for a unit with `Delegate=yes`. The agent is started in
/// a leaf of it (`DelegateSubgroup=firehall-agent`), again after it was killed; the tests are in another leaf.
const GIVEN: &str = r#"
cg=/sys/fs/cgroup
echo '+memory +pids +cpu' >$cg/cgroup.subtree_control
give() { mkdir $1; chown 61236 $1 $1/cgroup.procs $1/cgroup.subtree_control $1/cgroup.threads; }
give $cg/given; give $cg/given/firehall-agent; give $cg/given/tests
# The user need not be able to walk to where they were built.
mkdir -p /run/built /run/home
busybox mount -o bind @BUILT@ /run/built
chown 61236 /run/home
cat >/run/firehall <<'END'
#!/bin/sh
test "$1" = agent && echo $$ >/sys/fs/cgroup/given/firehall-agent/cgroup.procs
exec /run/built/firehall "$@"
END
chmod 755 /run/firehall
as_user() { /usr/bin/setpriv --reuid 61236 --regid 61236 --clear-groups env HOME=/run/home TMPDIR=/run/home FIREHALL_BIN=/run/firehall "$@"; }
# What the doctor says in a group: its report has more to warn of.
doctor() { (echo 0 >$1/cgroup.procs; as_user /run/firehall doctor -o json || true) >/run/told; }
says() { grep -e "$1" /run/told || { cat /run/told; echo "it does not say: $1"; exit 1; }; }
says_not() { if grep -e "$1" /run/told; then echo "it says: $1"; exit 1; fi; }

(echo 0 >$cg/given/tests/cgroup.procs; as_user /run/built/deps/@TESTS@ @ARGUMENTS@)
left=$(busybox find $cg -type d -name firehall)
test -z "$left" || { echo "a cgroup stays: $left"; exit 1; }
doctor $cg/given/firehall-agent
says 'by its cgroup (cgroup v2, delegated at /given)'
says '67108864 bytes of memory, 16 processes; in force: 67108864 bytes, 16 processes, by the cgroup'
says_not 'asks for cpu is refused'
"#;

/// What is not as it should be, each said for itself.
const LESS: &str = r#"
echo '-cpu' >$cg/given/cgroup.subtree_control
echo '-cpu' >$cg/cgroup.subtree_control
doctor $cg/given/firehall-agent
says 'by its cgroup (cgroup v2, delegated at /given)'
says 'asks for cpu is refused'
says '/given was given without cpu'
mkdir $cg/theirs
doctor $cg/theirs
says 'memory is limited for each process'
says 'its cgroup /theirs is not this user'
give $cg/shared
(echo 0 >$cg/shared/cgroup.procs; exec sleep 1000) &
doctor $cg/shared
says 'its cgroup /shared has other processes'
give $cg/given/less
echo '-memory' >$cg/given/cgroup.subtree_control
doctor $cg/given/less
says 'its cgroup /given/less was given without memory'
says '16 processes, by each process'
"#;

/// Runs tests of this program in a guest as a user with a part of its own, then more of the script.
fn where_it_was_given(tests: &[&str], more: &str) {
    let program = std::env::current_exe().unwrap();
    let name = program.file_name().unwrap().to_string_lossy();
    let built = process::binary();
    let built = built.parent().map(Path::display).unwrap();
    let script = GIVEN
        .replace("@BUILT@", &built.to_string())
        .replace("@TESTS@", &name)
        .replace("@ARGUMENTS@", &arguments(tests));
    in_guest(&(script + more), tests.len());
}

#[test]
fn an_agent_without_root_takes_up_what_it_left_on_cgroup_version_2_that_was_given() {
    where_it_was_given(&["crash::kill_9_of_the_agent_during_a_step"], "");
}

#[test]
fn full_an_agent_without_root_holds_limits_on_cgroup_version_2_and_says_what_it_was_not_given() {
    where_it_was_given(HELD, LESS);
}
