//! How a container ends: each way told apart from the others.

use runtime::{LimitsBy, StartErrorKind};

use crate::place::{Place, exec, sh};

crate::suite![
    exit_codes_come_through,
    a_signal_is_told,
    an_exit_code_above_128_stays_a_code,
    a_kill_from_inside_is_no_oom_and_no_timeout,
    out_of_memory_timeout_and_stop_are_told_apart,
    a_timeout_ends_by_term,
    a_step_may_use_its_grace_to_clean_up,
    who_ignores_term_is_killed_after_its_grace,
    term_reaches_a_shell_that_waits_for_its_child,
    a_missing_program_is_a_start_error,
    what_is_not_executable_is_a_start_error,
    a_missing_working_directory_is_a_start_error,
    the_program_is_found_by_the_steps_own_path,
    duration_and_processor_time_are_the_steps_own,
    a_broken_pipe_ends_a_program_silently,
];

/// Shell without a helper: doubles a variable until there is no memory.
const EAT: &str = "x=0123456789abcdef; while :; do x=$x$x; done";

fn exit_codes_come_through(place: &Place) {
    for code in [0, 1, 3, 127, 255] {
        let record = place.sh(&format!("exit {code}")).record;
        assert_eq!(
            (record.code, record.signal, record.started),
            (Some(code), None, true)
        );
        assert!(
            !record.timed_out && !record.stopped && !record.killed_after_grace,
            "{record:?}"
        );
        assert!(
            record.start_error.is_none() && record.oom_kills == 0,
            "{record:?}"
        );
    }
}

fn a_signal_is_told(place: &Place) {
    for (name, number) in [("SEGV", 11), ("TERM", 15), ("USR1", 10)] {
        let ran = place.sh(&format!("kill -{name} $$"));
        assert!(ran.died_of(place, number), "{name}: {:?}", ran.record);
        assert_eq!(ran.record.oom_kills, 0);
    }
}

fn an_exit_code_above_128_stays_a_code(place: &Place) {
    let record = place.sh("exit 139").record;
    assert_eq!((record.code, record.signal), (Some(139), None));
}

fn a_kill_from_inside_is_no_oom_and_no_timeout(place: &Place) {
    let ran = place.sh("kill -KILL $$");
    let record = &ran.record;
    assert!(ran.died_of(place, 9), "{record:?}");
    assert_eq!(record.oom_kills, 0, "{record:?}");
    assert!(
        !record.killed_after_grace && !record.timed_out && !record.stopped,
        "{record:?}"
    );
}

/// All three end by the same signal 9: only the record tells which it was.
fn out_of_memory_timeout_and_stop_are_told_apart(place: &Place) {
    let mut spec = sh(EAT);
    spec.memory_bytes = 32 * 1024 * 1024;
    let memory = place.run(&spec).record;
    // Without a cgroup nobody is killed for memory: an allocation fails.
    let told = memory.oom_kills > 0 || place.answers().limits == LimitsBy::Process;
    assert!(told && !memory.timed_out && !memory.stopped, "{memory:?}");
    assert!(!memory.killed_after_grace, "{memory:?}");
    let stubborn = "trap '' TERM; echo up; while :; do sleep 0.1; done";
    let mut spec = sh(stubborn);
    (spec.timeout_ms, spec.grace_ms) = (2_000, 100);
    let timeout = place.run(&spec).record;
    assert!(
        timeout.oom_kills == 0 && timeout.timed_out && !timeout.stopped,
        "{timeout:?}"
    );
    assert!(timeout.killed_after_grace, "{timeout:?}");
    let mut spec = sh(stubborn);
    spec.grace_ms = 100;
    let running = place.start(&spec);
    running.says("up");
    place.stop(&running);
    let stop = place.end(&running).record;
    assert!(stop.oom_kills == 0 && !stop.timed_out && stop.stopped, "{stop:?}");
    assert!(stop.killed_after_grace, "{stop:?}");
}

fn a_timeout_ends_by_term(place: &Place) {
    let mut spec = exec(&["sleep", "600"]);
    spec.timeout_ms = 300;
    let ran = place.run(&spec);
    let record = &ran.record;
    assert!(ran.died_of(place, 15), "{record:?}");
    assert!(
        record.timed_out && !record.stopped && !record.killed_after_grace,
        "{record:?}"
    );
    assert!(record.duration_ms >= 300, "{record:?}");
}

fn a_step_may_use_its_grace_to_clean_up(place: &Place) {
    let mut spec = sh("trap 'echo cleaning; exit 7' TERM; echo up; sleep 600 & wait");
    (spec.timeout_ms, spec.grace_ms) = (2_500, 30_000);
    let ran = place.run(&spec);
    let record = &ran.record;
    assert_eq!(
        (record.code, record.timed_out, record.killed_after_grace),
        (Some(7), true, false)
    );
    assert_eq!(ran.out(), "up\ncleaning\n");
}

fn who_ignores_term_is_killed_after_its_grace(place: &Place) {
    let mut spec = sh("trap 'echo no' TERM; while :; do sleep 0.1; done");
    (spec.timeout_ms, spec.grace_ms) = (2_000, 400);
    let ran = place.run(&spec);
    let record = &ran.record;
    assert!(ran.died_of(place, 9), "{record:?}");
    assert!(record.timed_out && record.killed_after_grace, "{record:?}");
    assert!(record.duration_ms >= 2_400, "the grace was given: {record:?}");
    assert_eq!(ran.out(), "no\n", "TERM came once");
}

/// A bare shell as pid 1 would never see TERM, and one that waits for a child runs its trap only after the child.
fn term_reaches_a_shell_that_waits_for_its_child(place: &Place) {
    let mut spec = sh("trap 'echo term; exit 9' TERM; sleep 600; echo never");
    (spec.timeout_ms, spec.grace_ms) = (2_500, 30_000);
    let ran = place.run(&spec);
    assert_eq!(
        (ran.record.code, ran.out().as_str()),
        (Some(9), "term\n"),
        "{:?}",
        ran.record
    );
    assert!(!ran.record.killed_after_grace);
}

fn a_missing_program_is_a_start_error(place: &Place) {
    for program in ["no-such-program-here", "/usr/bin/no-such-program"] {
        let record = place.run(&exec(&[program])).record;
        let error = record.start_error.as_ref().expect("a start error");
        assert_eq!(error.kind, StartErrorKind::NotFound, "{error}");
        assert!(error.message.contains(program), "it names the program: {error}");
        assert_eq!((record.started, record.code, record.signal), (false, None, None));
    }
}

fn what_is_not_executable_is_a_start_error(place: &Place) {
    for program in ["/etc/passwd", "/usr"] {
        let record = place.run(&exec(&[program])).record;
        let error = record.start_error.as_ref().expect("a start error");
        assert_eq!(error.kind, StartErrorKind::NotExecutable, "{error}");
        assert!(error.message.contains(program), "it names the program: {error}");
        assert_eq!((record.started, record.code, record.signal), (false, None, None));
    }
}

fn a_missing_working_directory_is_a_start_error(place: &Place) {
    let mut spec = exec(&["true"]);
    spec.workdir = Some("/no/such/dir".to_owned());
    let record = place.run(&spec).record;
    let error = record.start_error.as_ref().expect("a start error");
    assert_eq!(
        (error.kind, record.started),
        (StartErrorKind::Workdir, false),
        "{error}"
    );
    assert!(error.message.contains("/no/such/dir"), "{error}");
}

fn the_program_is_found_by_the_steps_own_path(place: &Place) {
    let mut spec = exec(&["true"]);
    spec.env = vec![("PATH".to_owned(), "/nowhere".to_owned())];
    let error = place.run(&spec).record.start_error.expect("a start error");
    assert_eq!(error.kind, StartErrorKind::NotFound, "{error}");
    let mut spec = exec(&["true"]);
    spec.env = vec![("PATH".to_owned(), "/nowhere:/usr/bin".to_owned())];
    assert_eq!(place.run(&spec).record.code, Some(0));
}

fn duration_and_processor_time_are_the_steps_own(place: &Place) {
    let idle = place.sh("sleep 0.5").record;
    assert!(idle.duration_ms >= 500, "{idle:?}");
    assert!(
        idle.started_at_ms > 0 && idle.finished_at_ms >= idle.started_at_ms,
        "{idle:?}"
    );
    // A child that was killed counts too.
    let busy = place.sh("timeout 1 sh -c 'while :; do :; done'; exit 0").record;
    assert!(
        busy.cpu_ms > idle.cpu_ms && busy.cpu_ms > 100,
        "{} {}",
        busy.cpu_ms,
        idle.cpu_ms
    );
    assert!(busy.peak_memory_bytes > 0, "{busy:?}");
}

fn a_broken_pipe_ends_a_program_silently(place: &Place) {
    let ran = place.sh("yes | head -1");
    assert_eq!(
        (ran.out().as_str(), ran.err().as_str(), ran.record.code),
        ("y\n", "", Some(0))
    );
}
