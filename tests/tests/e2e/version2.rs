//! The product on a host with cgroup version 2 alone: tests of this very program, run in a guest.

use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(330);

/// Runs tests of this program in a guest; a name that is none's fails.
fn in_guest(tests: &[&str]) {
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "cat /sys/fs/cgroup/cgroup.controllers\n{} --test-threads 1 --color never --exact {}\n",
        program.display(),
        tests.join(" ")
    );
    let told = guest::run(&script, PATIENCE).unwrap();
    let all = format!("test result: ok. {} passed", tests.len());
    assert!(
        told.code == Some(0) && told.text.contains(&all),
        "{:?} after\n{}",
        told.code,
        told.text
    );
}

#[test]
fn an_agent_on_cgroup_version_2_holds_limits_and_takes_up_what_it_left() {
    in_guest(&[
        "limits::an_exit_code_a_signal_a_timeout_and_oom_are_told_apart",
        "limits::a_fork_bomb_stays_in_its_limit",
        "crash::kill_9_of_the_agent_during_a_step",
        "limits::nothing_of_finished_attempts_stays_behind",
    ]);
}
