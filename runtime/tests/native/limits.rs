//! Memory, processes, processor, tmpfs: bounded, and the cause told.

use crate::support::{Place, exec, sh};

/// Shell without python: doubles a variable until there is no memory.
fn eat() -> &'static str {
    "x=0123456789abcdef; while :; do x=$x$x; done"
}

#[test]
fn the_main_process_over_its_memory_is_an_oom() {
    let place = Place::new();
    let mut spec = sh(eat());
    spec.memory_bytes = 32 * 1024 * 1024;
    let record = place.run(&spec).record;
    assert_eq!((record.code, record.signal), (None, Some(9)), "{record:?}");
    assert!(record.oom_kills >= 1, "{record:?}");
    assert!(!record.timed_out && !record.killed_after_grace);
    assert!(record.peak_memory_bytes > 16 * 1024 * 1024 && record.peak_memory_bytes <= 32 * 1024 * 1024);
}

#[test]
fn a_child_over_the_memory_is_a_fact_beside_the_exit_code() {
    let place = Place::new();
    let mut spec = sh(&format!("sh -c '{}'; echo child $?; exit 3", eat()));
    spec.memory_bytes = 32 * 1024 * 1024;
    let ran = place.run(&spec);
    assert_eq!((ran.record.code, ran.record.signal), (Some(3), None));
    assert!(ran.record.oom_kills >= 1);
    assert!(ran.out().contains("child 137"), "{}", ran.out());
}

#[test]
fn memory_files_count_as_memory() {
    let place = Place::new();
    let mut spec = sh("head -c 100000000 /dev/zero > /dev/shm/big; echo end $?");
    spec.memory_bytes = 32 * 1024 * 1024;
    spec.tmp_bytes = 256 * 1024 * 1024;
    let record = place.run(&spec).record;
    assert!(record.oom_kills >= 1, "{record:?}");
}

#[test]
fn a_fork_bomb_is_bounded_and_ends_with_its_step() {
    let place = Place::new();
    let mut spec = sh("f() { f | f & }; f; sleep 1; ls -d /proc/[0-9]* | wc -l");
    spec.pids = 20;
    spec.timeout_ms = 4000;
    spec.grace_ms = 500;
    let ran = place.run(&spec);
    assert!(
        ran.err().contains("Cannot fork") || ran.record.timed_out,
        "{} {:?}",
        ran.err(),
        ran.record
    );
    assert_eq!(ran.record.hardening.as_ref().unwrap().pids_limit, Some(21));
    assert!(ran.record.duration_ms < 8000);
}

#[test]
fn the_process_limit_is_exact() {
    let place = Place::new();
    // The shell and three sleeps are four; the fifth process is one too many.
    let mut spec = sh("sleep 5 & sleep 5 & sleep 5 & echo three; sleep 5 & echo four");
    spec.pids = 4;
    let ran = place.run(&spec);
    assert!(
        ran.out().contains("three") && !ran.out().contains("four"),
        "{} / {}",
        ran.out(),
        ran.err()
    );
    assert!(ran.err().contains("Cannot fork"), "{}", ran.err());
}

#[test]
fn tmpfs_sizes_are_limits() {
    let place = Place::new();
    for dir in ["/tmp", "/dev/shm"] {
        let mut spec = sh(&format!(
            "head -c 3000000 /dev/zero > {dir}/a && echo fits; head -c 3000000 /dev/zero > {dir}/b || echo full"
        ));
        spec.tmp_bytes = 4 * 1024 * 1024;
        let ran = place.run(&spec);
        assert_eq!(ran.out(), "fits\nfull\n", "{dir}");
        assert!(ran.err().contains("No space left"), "{}", ran.err());
    }
    // What a step tells us through files cannot fill the disk either.
    let ran = place.sh("head -c 3000000 /dev/zero > $FIREHALL_OUTPUT || echo full");
    assert_eq!(ran.out(), "full\n");
}

#[test]
fn a_cpu_limit_holds() {
    let place = Place::new();
    let mut spec = exec(&["/bin/sh", "-c", "while :; do :; done"]);
    spec.cpu_millis = Some(100);
    spec.timeout_ms = 2000;
    spec.grace_ms = 100;
    let record = place.run(&spec).record;
    assert!(record.timed_out);
    assert!(
        (50..700).contains(&record.cpu_ms),
        "a tenth of 2 s is 200 ms: {}",
        record.cpu_ms
    );
}

#[test]
fn the_least_that_a_spec_may_ask_for_still_runs() {
    let place = Place::new();
    let mut spec = exec(&["true"]);
    spec.memory_bytes = 8 * 1024 * 1024;
    spec.pids = 1;
    spec.tmp_bytes = 4096;
    spec.log_cap_bytes = 0;
    let record = place.run(&spec).record;
    assert_eq!((record.code, record.oom_kills), (Some(0), 0), "{record:?}");
}
