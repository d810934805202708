//! Asked to end: before, during and after, once and again.

use runtime::{Ended, StartErrorKind};

use crate::place::{Place, exec, finished, sh};

crate::suite![
    stopped_is_not_timed_out,
    stopping_at_once_never_hangs_and_never_lies,
    a_stop_before_the_start_keeps_it_from_starting,
    a_stop_after_the_end_changes_nothing,
    a_second_stop_does_not_shorten_the_grace,
    what_was_said_on_the_way_out_is_kept,
];

fn stopped_is_not_timed_out(place: &Place) {
    let running = place.start(&sh("echo up; exec sleep 600"));
    running.says("up");
    place.stop(&running);
    let ran = place.end(&running);
    let record = &ran.record;
    assert_eq!(
        (record.stopped, record.timed_out, record.killed_after_grace),
        (true, false, false)
    );
    assert!(ran.died_of(place, 15), "{record:?}");
}

fn stopping_at_once_never_hangs_and_never_lies(place: &Place) {
    for _ in 0..5 {
        let running = place.start(&exec(&["sleep", "600"]));
        place.stop(&running);
        let ran = place.end(&running);
        let record = &ran.record;
        assert!(record.stopped, "{record:?}");
        match &record.start_error {
            Some(error) => assert_eq!((error.kind, record.started), (StartErrorKind::Stopped, false)),
            None => assert!(ran.died_of(place, 15), "{record:?}"),
        }
    }
}

/// The wish comes first, as when an agent was killed between both.
fn a_stop_before_the_start_keeps_it_from_starting(place: &Place) {
    let spec = sh("echo it ran");
    let dir = place.dir(&spec.id);
    std::fs::create_dir(&dir).unwrap();
    place.block(place.runtime().stop(&dir)).unwrap();
    let running = match place.begin(&spec, Vec::new()).unwrap() {
        runtime::Found::Running(attached) => place.block(attached.wait()).unwrap(),
        runtime::Found::Ended(ended) => ended,
    };
    if let Ended::NeverStarted(_) = running {
        return;
    }
    let record = finished(running);
    let error = record.start_error.expect("a start error");
    assert_eq!(
        (error.kind, record.started, record.stopped),
        (StartErrorKind::Stopped, false, true)
    );
    assert_eq!(std::fs::read(dir.join("out")).unwrap_or_default(), b"");
}

fn a_stop_after_the_end_changes_nothing(place: &Place) {
    let running = place.start(&sh("echo done; exit 5"));
    let before = place.wait(&running);
    place.stop(&running);
    place.stop(&running);
    assert_eq!(place.wait(&running), before);
    let record = finished(before);
    assert_eq!((record.code, record.stopped), (Some(5), false));
}

fn a_second_stop_does_not_shorten_the_grace(place: &Place) {
    let mut spec = sh("trap 'sleep 1; echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.1; done");
    spec.grace_ms = 40_000;
    let running = place.start(&spec);
    running.says("up");
    place.stop(&running);
    place.stop(&running);
    let ran = place.end(&running);
    assert!(ran.out().ends_with("cleaned\n"), "{}", ran.out());
    assert_eq!((ran.record.code, ran.record.killed_after_grace), (Some(0), false));
}

fn what_was_said_on_the_way_out_is_kept(place: &Place) {
    let mut spec = sh("trap 'seq 1000; echo last >&2; exit 0' TERM; echo up; while :; do sleep 0.05; done");
    spec.grace_ms = 40_000;
    let running = place.start(&spec);
    running.says("up");
    place.stop(&running);
    let ran = place.end(&running);
    assert!(ran.out().ends_with("999\n1000\n"), "{}", ran.out());
    assert!(ran.err().ends_with("last\n"), "{}", ran.err());
}
