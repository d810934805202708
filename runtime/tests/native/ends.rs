//! How a step ends, each told apart.

use runtime::StartErrorKind;

use crate::support::{Place, exec, finished, processes_with, sh, until, until_says, wait};

#[test]
fn exit_codes_come_through() {
    let place = Place::new();
    for code in [0, 1, 3, 127, 255] {
        let ran = place.sh(&format!("exit {code}"));
        let record = &ran.record;
        assert_eq!(
            (record.code, record.signal, record.started),
            (Some(code), None, true)
        );
        assert!(
            !record.timed_out
                && !record.stopped
                && !record.killed_after_grace
                && record.start_error.is_none()
        );
    }
}

#[test]
fn a_signal_is_not_an_exit_code() {
    let place = Place::new();
    let record = place.sh("kill -SEGV $$").record;
    assert_eq!(
        (record.code, record.signal, record.oom_kills),
        (None, Some(11), 0)
    );
    // The same number as an exit code stays one.
    let record = place.sh("exit 139").record;
    assert_eq!((record.code, record.signal), (Some(139), None));
    let record = place.sh("kill -KILL $$").record;
    assert_eq!(
        (
            record.code,
            record.signal,
            record.oom_kills,
            record.killed_after_grace
        ),
        (None, Some(9), 0, false)
    );
}

#[test]
fn a_timeout_ends_a_step_by_term() {
    let place = Place::new();
    let mut spec = sh("sleep 60");
    spec.timeout_ms = 300;
    let record = place.run(&spec).record;
    assert_eq!(
        (record.timed_out, record.stopped, record.killed_after_grace),
        (true, false, false)
    );
    assert_eq!(record.signal, Some(15));
    assert!(
        (300..2000).contains(&record.duration_ms),
        "{}",
        record.duration_ms
    );
}

#[test]
fn a_step_may_use_its_grace_to_clean_up() {
    let place = Place::new();
    let mut spec = sh("trap 'echo cleaning; exit 7' TERM; echo up; sleep 60 & wait");
    spec.timeout_ms = 300;
    let ran = place.run(&spec);
    assert_eq!(
        (
            ran.record.code,
            ran.record.timed_out,
            ran.record.killed_after_grace
        ),
        (Some(7), true, false)
    );
    assert_eq!(ran.out(), "up\ncleaning\n");
}

#[test]
fn a_step_that_ignores_term_is_killed_after_its_grace() {
    let place = Place::new();
    let mut spec = sh("trap '' TERM; echo up; while :; do sleep 1; done");
    spec.timeout_ms = 200;
    spec.grace_ms = 300;
    let record = place.run(&spec).record;
    assert_eq!(
        (record.timed_out, record.killed_after_grace, record.signal),
        (true, true, Some(9))
    );
    assert!(
        (500..3000).contains(&record.duration_ms),
        "{}",
        record.duration_ms
    );
}

#[test]
fn stopped_is_not_timed_out() {
    let place = Place::new();
    let handle = place.start(&sh("echo up; exec sleep 60"));
    until_says(handle.dir(), "up");
    handle.stop().unwrap();
    let record = finished(wait(&handle));
    assert_eq!(
        (record.stopped, record.timed_out, record.killed_after_grace),
        (true, false, false)
    );
    assert_eq!((record.code, record.signal), (None, Some(15)));
    // An end that was is no error to stop again.
    handle.stop().unwrap();
}

#[test]
fn stopping_at_once_never_hangs_and_never_lies() {
    let place = Place::new();
    for _ in 0..10 {
        let handle = place.start(&exec(&["sleep", "60"]));
        handle.stop().unwrap();
        let record = finished(wait(&handle));
        assert!(record.stopped, "{record:?}");
        match record.start_error {
            Some(error) => assert_eq!((error.kind, record.started), (StartErrorKind::Stopped, false)),
            None => assert_eq!(record.signal, Some(15)),
        }
    }
}

#[test]
fn orphans_are_reaped_and_what_is_left_dies_with_the_main_process() {
    let place = Place::new();
    // A double fork whose middle ends: the orphan comes to pid 1, ends, and must not stay a zombie.
    let script =
        "(sh -c 'sleep 0.05' & ) ; sleep 0.4; grep -l '^State:.Z' /proc/[0-9]*/status || echo no zombies";
    assert_eq!(place.sh(script).out(), "no zombies\n");
    let mark = "86399.1234";
    let script =
        format!("setsid sleep {mark} > /dev/null 2>&1 & (setsid nohup sleep {mark} &) ; sleep 0.2; exit 4");
    let record = place.sh(&script).record;
    assert_eq!(record.code, Some(4));
    until("the grandchildren are gone", || processes_with(mark).is_empty());
}

#[test]
fn a_grandchild_that_holds_the_output_does_not_hold_the_end() {
    let place = Place::new();
    let ran = place.sh("sleep 55 & echo done");
    assert_eq!((ran.record.code, ran.out().as_str()), (Some(0), "done\n"));
    assert!(ran.record.duration_ms < 5000);
}

#[test]
fn what_cannot_be_executed_is_a_clear_start_error() {
    let place = Place::new();
    let cases = [
        (
            exec(&["no-such-program-here"]),
            StartErrorKind::NotFound,
            "\"no-such-program-here\" not found",
        ),
        (
            exec(&["/usr/bin/no-such"]),
            StartErrorKind::NotFound,
            "\"/usr/bin/no-such\" not found",
        ),
        (
            exec(&["/usr/lib/os-release"]),
            StartErrorKind::NotExecutable,
            "Permission denied",
        ),
        (
            exec(&["/usr"]),
            StartErrorKind::NotExecutable,
            "cannot be executed",
        ),
    ];
    for (spec, kind, message) in cases {
        let record = place.run(&spec).record;
        let error = record.start_error.expect("a start error");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert_eq!((record.started, record.code, record.signal), (false, None, None));
    }
    let mut spec = exec(&["true"]);
    spec.workdir = Some("/no/such/dir".to_owned());
    let error = place.run(&spec).record.start_error.expect("a start error");
    assert_eq!(error.kind, StartErrorKind::Workdir);
    assert!(error.message.contains("/no/such/dir"), "{error}");
}

#[test]
fn a_program_is_found_by_the_steps_own_path() {
    let place = Place::new();
    let mut spec = exec(&["true"]);
    spec.env = vec![("PATH".to_owned(), "/nowhere".to_owned())];
    assert_eq!(
        place.run(&spec).record.start_error.unwrap().kind,
        StartErrorKind::NotFound
    );
    let mut spec = exec(&["true"]);
    spec.env = vec![("PATH".to_owned(), "/nowhere:/usr/bin".to_owned())];
    assert_eq!(place.run(&spec).record.code, Some(0));
}

#[test]
fn a_broken_pipe_ends_a_program_silently() {
    let place = Place::new();
    let ran = place.sh("yes | head -1");
    assert_eq!(
        (ran.out().as_str(), ran.err().as_str(), ran.record.code),
        ("y\n", "", Some(0))
    );
}

#[test]
fn processor_time_and_duration_are_the_steps_own() {
    let place = Place::new();
    let idle = place.sh("sleep 0.3").record;
    assert!((300..1500).contains(&idle.duration_ms), "{}", idle.duration_ms);
    assert!(idle.cpu_ms < 100, "{}", idle.cpu_ms);
    let mut spec = sh("(while :; do :; done)");
    spec.timeout_ms = 1000;
    let busy = place.run(&spec).record;
    assert!(
        busy.cpu_ms > 150,
        "a child that was killed counts too: {}",
        busy.cpu_ms
    );
}
