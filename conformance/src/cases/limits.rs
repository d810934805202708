//! Memory, processes, processor, files: bounded, the cause told, the neighbour undisturbed.

use runtime::LimitsBy;

use crate::place::{Place, Running, exec, sh};

crate::suite![
    the_main_process_over_its_memory_is_an_oom,
    a_child_over_the_memory_is_a_fact_beside_the_exit_code,
    memory_files_count_as_memory,
    a_million_small_files_are_bounded,
    swap_does_not_widen_the_memory,
    the_process_limit_is_exact,
    a_fork_bomb_is_bounded_and_disturbs_no_neighbour,
    threads_count_as_processes,
    a_processor_limit_holds,
    tmp_is_as_large_as_asked,
    shared_memory_is_as_large_as_asked,
    the_least_that_a_spec_may_ask_for_still_runs,
    no_core_is_dumped,
    open_files_are_bounded,
    the_record_says_what_is_in_force,
];

/// Shell without a helper: doubles a variable until there is no memory.
const EAT: &str = "x=0123456789abcdef; while :; do x=$x$x; done";
const MIB: u64 = 1024 * 1024;

fn the_main_process_over_its_memory_is_an_oom(place: &Place) {
    let mut spec = sh(EAT);
    spec.memory_bytes = 32 * MIB;
    let ran = place.run(&spec);
    let record = &ran.record;
    if place.answers().limits == LimitsBy::Process {
        // The shell's allocation fails, and so does the shell, by itself; nobody kills it.
        assert!(record.code != Some(0) && !ran.died_of(place, 9), "{record:?}");
        assert_eq!(record.oom_kills, 0, "{record:?}");
        assert!(record.peak_memory_bytes <= 64 * MIB, "{record:?}");
        return;
    }
    assert!(ran.died_of(place, 9), "{record:?}");
    assert!(
        record.oom_kills >= 1 && !record.timed_out && !record.killed_after_grace,
        "{record:?}"
    );
    assert!(
        record.peak_memory_bytes > 16 * MIB && record.peak_memory_bytes <= 32 * MIB,
        "{record:?}"
    );
}

fn a_child_over_the_memory_is_a_fact_beside_the_exit_code(place: &Place) {
    let mut spec = sh(&format!("sh -c '{EAT}'; echo child $?; exit 3"));
    spec.memory_bytes = 32 * MIB;
    let ran = place.run(&spec);
    assert_eq!(
        (ran.record.code, ran.record.signal),
        (Some(3), None),
        "{:?}",
        ran.record
    );
    if place.answers().limits == LimitsBy::Process {
        assert!(
            ran.out().starts_with("child ") && !ran.out().contains("child 0"),
            "{}",
            ran.out()
        );
        return;
    }
    assert!(ran.record.oom_kills >= 1, "{:?}", ran.record);
    assert!(ran.out().contains("child 137"), "{}", ran.out());
}

fn memory_files_count_as_memory(place: &Place) {
    let mut spec = sh("head -c 100000000 /dev/zero > /dev/shm/big; echo end $?");
    (spec.memory_bytes, spec.tmp_bytes) = (32 * MIB, 256 * MIB);
    if place.answers().limits == LimitsBy::Process {
        // They do not: their own size is what bounds them.
        spec.tmp_bytes = 16 * MIB;
        let ran = place.run(&spec);
        assert_eq!(ran.out(), "end 1\n", "{}", ran.err());
        assert!(ran.err().contains("No space left"), "{}", ran.err());
        return;
    }
    let record = place.run(&spec).record;
    assert!(record.oom_kills >= 1, "{record:?}");
}

fn a_million_small_files_are_bounded(place: &Place) {
    let mut spec = sh(
        "perl -e 'for (1..1000000) { open F, \">/tmp/$_\" or do { print \"full\"; exit 0 } } print \"all\"'",
    );
    (spec.memory_bytes, spec.tmp_bytes) = (48 * MIB, 8 * MIB);
    // A slow machine reads the program's own pages again and again before it gives up.
    spec.timeout_ms = 150_000;
    let ran = place.run(&spec);
    assert!(
        ran.record.oom_kills >= 1 || ran.out() == "full",
        "{:?} {}",
        ran.record,
        ran.out()
    );
}

fn swap_does_not_widen_the_memory(place: &Place) {
    // 200 MiB, touched page by page, are far beyond 32 MiB with any swap that was not limited.
    let mut spec = exec(&["perl", "-e", "my $x = 'a' x (200 << 20); print length $x"]);
    spec.memory_bytes = 32 * MIB;
    let ran = place.run(&spec);
    assert_ne!(ran.out(), "209715200", "{:?}", ran.record);
    assert!(
        ran.record.oom_kills >= 1 || place.answers().limits == LimitsBy::Process,
        "{:?}",
        ran.record
    );
}

fn the_process_limit_is_exact(place: &Place) {
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

/// A neighbour that says something all the time: it must go on while another step misbehaves.
fn ticking(place: &Place) -> Running {
    let running = place.start(&sh("i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done"));
    running.says("tick 2\n");
    running
}

/// It goes on, and it was neither ended nor killed.
fn undisturbed(place: &Place, neighbour: &Running) {
    let said = std::fs::read_to_string(neighbour.dir().stdout()).unwrap();
    let last: u64 = said
        .lines()
        .last()
        .unwrap()
        .trim_start_matches("tick ")
        .parse()
        .unwrap();
    neighbour.says(&format!("tick {}\n", last + 3));
    place.stop(neighbour);
    let record = place.end(neighbour).record;
    assert!(
        record.stopped && record.oom_kills == 0 && !record.timed_out,
        "{record:?}"
    );
}

fn a_fork_bomb_is_bounded_and_disturbs_no_neighbour(place: &Place) {
    let neighbour = ticking(place);
    let mut spec = sh("f() { f | f & }; f; sleep 1; ls -d /proc/[0-9]* | wc -l");
    (spec.pids, spec.timeout_ms, spec.grace_ms) = (20, 4_000, 500);
    let ran = place.run(&spec);
    assert!(
        ran.err().contains("Cannot fork") || ran.record.timed_out,
        "{} {:?}",
        ran.err(),
        ran.record
    );
    undisturbed(place, &neighbour);
}

fn threads_count_as_processes(place: &Place) {
    // sort runs as many threads as it is asked for, as long as it can.
    let mut spec = sh("for i in 1 2 3 4 5 6 7 8; do (exec sleep 2) & done; wait; echo end");
    spec.pids = 3;
    let ran = place.run(&spec);
    assert!(ran.err().contains("Cannot fork"), "{}", ran.err());
    let limit = ran
        .record
        .hardening
        .and_then(|found| found.pids_limit)
        .expect("it is told");
    assert!((3..=5).contains(&limit), "our own first process aside: {limit}");
}

fn a_processor_limit_holds(place: &Place) {
    let mut spec = sh("while :; do :; done");
    spec.cpu_millis = Some(100);
    (spec.timeout_ms, spec.grace_ms) = (3_000, 100);
    if let Some(why) = place.runtime().refuses(&spec) {
        assert!(why.contains("processor") && why.contains("cgroups"), "{why}");
        return;
    }
    let record = place.run(&spec).record;
    assert!(record.timed_out, "{record:?}");
    // A tenth of the time that it had; a slow machine gives it less.
    let most = record.duration_ms / 4;
    assert!(
        record.cpu_ms <= most,
        "{} ms of {} ms",
        record.cpu_ms,
        record.duration_ms
    );
}

fn full(place: &Place, dir: &str) {
    let mut spec = sh(&format!(
        "head -c 3000000 /dev/zero > {dir}/a && echo fits; head -c 3000000 /dev/zero > {dir}/b || echo full"
    ));
    spec.tmp_bytes = 4 * MIB;
    let ran = place.run(&spec);
    assert_eq!(ran.out(), "fits\nfull\n", "{dir}");
    assert!(ran.err().contains("No space left"), "{}", ran.err());
}

fn tmp_is_as_large_as_asked(place: &Place) {
    full(place, "/tmp");
}

fn shared_memory_is_as_large_as_asked(place: &Place) {
    full(place, "/dev/shm");
}

fn the_least_that_a_spec_may_ask_for_still_runs(place: &Place) {
    let mut spec = exec(&["true"]);
    (spec.memory_bytes, spec.pids, spec.tmp_bytes, spec.log_cap_bytes) = (8 * MIB, 1, 4096, 0);
    let record = place.run(&spec).record;
    assert_eq!((record.code, record.oom_kills), (Some(0), 0), "{record:?}");
}

fn no_core_is_dumped(place: &Place) {
    let ran = place.sh(
        "ulimit -Hc; ulimit -c unlimited 2>/dev/null && echo raised; cd /tmp; sh -c 'kill -SEGV $$'; ls /tmp",
    );
    assert_eq!(ran.out(), "0\n", "{}", ran.err());
}

fn open_files_are_bounded(place: &Place) {
    let out = place.sh("ulimit -Hn").out();
    let limit: u64 = out
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("no limit of open files: {out}"));
    assert!((256..=2 * MIB).contains(&limit), "{limit}");
}

fn the_record_says_what_is_in_force(place: &Place) {
    let mut spec = exec(&["cat", "/proc/self/status"]);
    (spec.memory_bytes, spec.pids) = (100 * MIB, 33);
    let ran = place.run(&spec);
    let status = ran.out();
    let found = ran.record.hardening.expect("it is told");
    let field = |name: &str| crate::probe::field(&status, name);
    assert_eq!(found.no_new_privs, field("NoNewPrivs") == "1");
    assert_eq!(found.seccomp.to_string(), field("Seccomp"));
    assert_eq!(
        (found.cap_effective, found.cap_bounding),
        (field("CapEff"), field("CapBnd"))
    );
    assert_eq!(found.limits, place.answers().limits);
    assert_eq!(found.memory_limit_bytes, Some(100 * MIB));
    assert!(
        found.pids_limit.is_some_and(|limit| (33..=35).contains(&limit)),
        "{:?}",
        found.pids_limit
    );
}
