//! Processes: reaped, bounded to the container, gone with it.

use crate::place::{Place, processes_with, sh, until};

crate::suite![
    orphans_are_reaped,
    a_pile_of_orphans_is_reaped,
    what_left_its_session_dies_with_the_main_process,
    what_forked_twice_dies_with_a_stop,
    a_step_sees_only_its_own_processes,
    a_step_cannot_end_its_first_process,
    threads_and_children_work,
    a_stopped_process_still_ends,
    only_the_standard_descriptors_are_open,
];

fn orphans_are_reaped(place: &Place) {
    // A double fork whose middle ends: the orphan comes to pid 1, ends, and must not stay a zombie.
    let script = "(sh -c 'sleep 0.05' & ); for i in $(seq 200); do \
        ls /proc | grep -q '^[0-9]' || exit 9; \
        n=$(grep -ls '^Name:.sleep' /proc/[0-9]*/status | wc -l); [ $n = 0 ] && break; sleep 0.05; done; \
        grep -ls '^State:.Z' /proc/[0-9]*/status || echo no zombies";
    assert_eq!(place.sh(script).out(), "no zombies\n");
}

fn a_pile_of_orphans_is_reaped(place: &Place) {
    // With 20 processes at most, 200 orphans fit only when each is reaped.
    let mut spec =
        sh("i=0; while [ $i -lt 200 ]; do (true &) || exit 9; i=$((i+1)); sleep 0.01; done; echo all");
    spec.pids = 20;
    let ran = place.run(&spec);
    assert_eq!(
        (ran.record.code, ran.out().as_str()),
        (Some(0), "all\n"),
        "{}",
        ran.err()
    );
}

fn what_left_its_session_dies_with_the_main_process(place: &Place) {
    let mark = "86399.1234";
    let script = format!(
        "setsid sleep {mark} > /dev/null 2>&1 & (setsid nohup sleep {mark} > /dev/null 2>&1 &); sleep 0.2; exit 4"
    );
    assert_eq!(place.sh(&script).record.code, Some(4));
    until("the grandchildren are gone", || processes_with(mark).is_empty());
}

fn what_forked_twice_dies_with_a_stop(place: &Place) {
    let mark = "86397.5678";
    let mut spec = sh(&format!(
        "(trap '' TERM HUP; setsid sh -c 'trap \"\" TERM; sleep {mark} & sleep {mark}' &) ; sleep 0.2; echo up; sleep 600"
    ));
    spec.grace_ms = 300;
    let running = place.start(&spec);
    running.says("up");
    until("they live", || !processes_with(mark).is_empty());
    place.stop(&running);
    assert!(place.end(&running).record.stopped);
    until("they are gone", || processes_with(mark).is_empty());
}

fn a_step_sees_only_its_own_processes(place: &Place) {
    let neighbour = place.start(&sh("echo up; sleep 600"));
    neighbour.says("up");
    let ran = place.sh("ls -d /proc/[0-9]* | wc -l; cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    let out = ran.out();
    let count: u32 = out.lines().next().unwrap().trim().parse().unwrap();
    assert!(count <= 6, "pid 1, the shell and its children: {out}");
    assert!(!out.contains("sleep 600"), "{out}");
    place.stop(&neighbour);
    place.wait(&neighbour);
}

fn a_step_cannot_end_its_first_process(place: &Place) {
    for user in [0, 1000] {
        let mut spec = sh("kill -KILL 1; kill -TERM 1; kill -STOP 1; sleep 0.2; [ $$ != 1 ] && echo alive");
        spec.user = Some(user);
        let ran = place.run(&spec);
        // TERM to pid 1 is passed on by some: then the shell died of it, and by nothing else.
        assert!(
            ran.out() == "alive\n" || ran.died_of(place, 15),
            "{:?} {}",
            ran.record,
            ran.err()
        );
        assert!(!ran.record.stopped && !ran.record.timed_out);
    }
}

fn threads_and_children_work(place: &Place) {
    // sort starts threads; where clone3 is refused libc must fall back.
    let ran = place.sh("seq 200000 | sort --parallel=4 -rn | head -1; ls / | wc -l | grep -q . && echo ok");
    assert_eq!(ran.out(), "200000\nok\n", "{}", ran.err());
}

/// SIGSTOP keeps a process from acting on TERM, not from KILL.
fn a_stopped_process_still_ends(place: &Place) {
    let mut spec = sh("sleep 600 & kill -STOP $!; kill -STOP $$");
    (spec.timeout_ms, spec.grace_ms) = (2_000, 400);
    let ran = place.run(&spec);
    assert!(
        ran.record.timed_out && ran.record.killed_after_grace,
        "{:?}",
        ran.record
    );
}

fn only_the_standard_descriptors_are_open(place: &Place) {
    let ran = place.run(&crate::place::exec(&["ls", "/proc/self/fd"]));
    // 3 is the directory that ls itself reads.
    assert_eq!(ran.out(), "0\n1\n2\n3\n");
}
