//! One attempt, one container: found again, started once, removed whole.

use runtime::{Ended, Found, Network};

use crate::place::{Place, bash, exec, finished, sh, until};
use crate::probe::Witness;

crate::suite![
    starting_twice_is_starting_once,
    starting_at_once_from_four_sides_is_starting_once,
    an_ended_attempt_is_not_started_again,
    what_never_was_is_never_started,
    a_new_agent_finds_a_running_container,
    a_container_is_found_twice_and_both_see_the_end,
    a_new_agent_finds_an_end_that_nobody_saw,
    a_new_agent_can_stop_what_it_found,
    a_timeout_holds_for_what_was_found,
    waiting_may_be_given_up_and_begun_again,
    a_running_attempt_is_not_removed,
    removing_is_removing_once_or_twice,
    a_failed_start_leaves_nothing,
    a_spec_that_cannot_run_is_refused_by_its_field,
    nothing_is_seen_of_it_on_the_host,
    what_lost_its_directory_is_a_stray_of_its_own_agent_only,
    what_has_its_directory_is_no_stray,
];

fn starting_twice_is_starting_once(place: &Place) {
    let witness = Witness::new();
    let mut spec = bash(&format!("{}; echo ran; sleep 0.5", witness.call()));
    spec.network = Network::Host;
    let first = place.start(&spec);
    let second = place.start(&spec);
    let (first, second) = (place.end(&first), place.end(&second));
    assert_eq!(first.record, second.record);
    assert_eq!(first.out(), "ran\n");
    assert_eq!(witness.calls(), 1);
}

fn starting_at_once_from_four_sides_is_starting_once(place: &Place) {
    let witness = Witness::new();
    let mut spec = bash(&format!("{}; sleep 0.5; echo ran", witness.call()));
    spec.network = Network::Host;
    let ends: Vec<Ended> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| match place.begin(&spec, Vec::new()).unwrap() {
                    Found::Running(attached) => place.block(attached.wait()).unwrap(),
                    Found::Ended(ended) => ended,
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(finished(ends[0].clone()).code, Some(0));
    assert_eq!(witness.calls(), 1);
    assert_eq!(std::fs::read(place.dir(&spec.id).join("out")).unwrap(), b"ran\n");
}

fn an_ended_attempt_is_not_started_again(place: &Place) {
    let spec = sh("echo ran; exit 3");
    let ran = place.run(&spec);
    match place.begin(&spec, Vec::new()).unwrap() {
        Found::Ended(ended) => assert_eq!(finished(ended), ran.record),
        Found::Running(_) => panic!("started again"),
    }
    assert_eq!(ran.out(), "ran\n");
}

fn what_never_was_is_never_started(place: &Place) {
    match place.adopt(place.runtime(), "nothing") {
        Err(Ended::NeverStarted(_)) => {}
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it runs"),
    }
}

fn a_new_agent_finds_a_running_container(place: &Place) {
    let spec = sh(
        "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; sleep 1; \
        while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done; echo v=9 > $FIREHALL_OUTPUT; exit 41",
    );
    let running = place.start(&spec);
    running.says("line 10\n");
    drop(running);
    let agent = place.reopened();
    let found = place.adopt(agent.as_ref(), &spec.id).expect("it runs");
    let ran = place.end(&found);
    assert_eq!((ran.record.code, ran.record.stdout.dropped), (Some(41), 0));
    let expected: String = (0..4000).map(|number| format!("line {number}\n")).collect();
    assert!(ran.out() == expected, "every byte, once");
    assert_eq!(ran.dir.output().unwrap(), b"v=9\n");
}

fn a_container_is_found_twice_and_both_see_the_end(place: &Place) {
    let spec = sh("echo up; sleep 1; exit 6");
    let first = place.start(&spec);
    first.says("up");
    let again = place.adopt(place.runtime(), &spec.id).expect("it runs");
    let once_more = place.adopt(place.reopened().as_ref(), &spec.id).expect("it runs");
    let ends = [place.wait(&first), place.wait(&again), place.wait(&once_more)];
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(finished(ends[0].clone()).code, Some(6));
    assert_eq!(std::fs::read(first.dir().stdout()).unwrap(), b"up\n");
}

fn a_new_agent_finds_an_end_that_nobody_saw(place: &Place) {
    let spec = sh("echo up; exit 9");
    let running = place.start(&spec);
    drop(running);
    let agent = place.reopened();
    let record = match place.adopt(agent.as_ref(), &spec.id) {
        Ok(running) => place.end(&running).record,
        Err(ended) => finished(ended),
    };
    assert_eq!((record.code, record.stdout.bytes), (Some(9), 3));
}

fn a_new_agent_can_stop_what_it_found(place: &Place) {
    let spec = sh("echo up; sleep 600");
    place.start(&spec).says("up");
    let agent = place.reopened();
    let found = place.adopt(agent.as_ref(), &spec.id).expect("it runs");
    place.block(agent.stop(found.dir().path())).unwrap();
    assert!(place.end(&found).record.stopped);
}

fn a_timeout_holds_for_what_was_found(place: &Place) {
    let mut spec = sh("echo up; sleep 600");
    spec.timeout_ms = 2_000;
    place.start(&spec).says("up");
    let agent = place.reopened();
    let record = match place.adopt(agent.as_ref(), &spec.id) {
        Ok(running) => place.end(&running).record,
        Err(ended) => finished(ended),
    };
    assert!(record.timed_out && !record.stopped, "{record:?}");
}

fn waiting_may_be_given_up_and_begun_again(place: &Place) {
    let running = place.start(&sh("echo up; sleep 0.5; exit 3"));
    for _ in 0..3 {
        let patience = std::time::Duration::from_millis(20);
        let _given_up = place.block(async { tokio::time::timeout(patience, running.waited()).await });
    }
    assert_eq!(place.end(&running).record.code, Some(3));
    assert_eq!(
        place.end(&running).record.code,
        Some(3),
        "and once more after the end"
    );
}

fn a_running_attempt_is_not_removed(place: &Place) {
    let running = place.start(&sh("echo up; sleep 600"));
    running.says("up");
    assert!(place.remove(running.dir()).is_err(), "not while it runs");
    assert!(running.dir().path().exists());
    place.stop(&running);
    place.wait(&running);
    place.remove(running.dir()).unwrap();
}

fn removing_is_removing_once_or_twice(place: &Place) {
    let spec = sh("echo up; echo v=1 > $FIREHALL_OUTPUT; mkdir -p /tmp/a/b; setsid sleep 600 & exit 0");
    let ran = place.run(&spec);
    place.remove(&ran.dir).unwrap();
    assert!(!ran.dir.path().exists());
    assert_eq!(place.remains(&spec.id), Vec::<String>::new());
    place.remove(&ran.dir).unwrap();
    place
        .block(place.runtime().remove(&place.dir("nothing")))
        .unwrap();
}

fn a_failed_start_leaves_nothing(place: &Place) {
    let spec = exec(&["no-such-program"]);
    let ran = place.run(&spec);
    assert!(ran.record.start_error.is_some());
    place.remove(&ran.dir).unwrap();
    until("nothing remains", || place.remains(&spec.id).is_empty());
}

fn a_spec_that_cannot_run_is_refused_by_its_field(place: &Place) {
    let broken: [(&str, fn(&mut runtime::ContainerSpec)); 8] = [
        ("id", |spec| spec.id = "../x".to_owned()),
        ("argv", |spec| spec.argv.clear()),
        ("argv", |spec| spec.argv.push("a\0b".to_owned())),
        ("env", |spec| spec.env.push(("A=B".to_owned(), String::new()))),
        ("env", |spec| spec.env.push(("A".to_owned(), "a\0b".to_owned()))),
        ("workdir", |spec| spec.workdir = Some("relative".to_owned())),
        ("user", |spec| spec.user = Some(65_536)),
        ("memory_bytes", |spec| spec.memory_bytes = 1),
    ];
    for (field, brk) in broken {
        let mut spec = exec(&["true"]);
        brk(&mut spec);
        let dir = place.dir("refused");
        let refused = place.block(place.runtime().start(&dir, spec, Vec::new()));
        let Err(error) = refused else {
            panic!("{field} was not refused");
        };
        assert!(error.to_string().contains(&format!("{field}: ")), "{error}");
        assert!(!dir.exists(), "nothing was made for it");
    }
}

fn nothing_is_seen_of_it_on_the_host(place: &Place) {
    let mine = || {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let data = place.dir("").to_string_lossy().into_owned();
        mounts
            .lines()
            .filter(|line| line.contains(data.trim_end_matches('/')))
            .count()
    };
    let running = place.start(&sh("echo up; sleep 600"));
    running.says("up");
    assert_eq!(mine(), 0, "no mount below the agent's data");
    place.stop(&running);
    place.wait(&running);
    assert_eq!(mine(), 0);
}

fn what_lost_its_directory_is_a_stray_of_its_own_agent_only(place: &Place) {
    let (lost, beside) = (sh("echo up; sleep 600"), sh("echo up; sleep 600"));
    let running = [place.start(&lost), place.start(&beside)];
    running.iter().for_each(|one| one.says("up"));
    std::fs::remove_dir_all(place.dir(&lost.id)).unwrap();
    let other = place.of_another();
    assert_eq!(
        place.block(other.strays()).unwrap(),
        vec![],
        "another agent's is none of its business"
    );
    let strays = place.block(place.reopened().strays()).unwrap();
    let ids: Vec<&str> = strays.iter().map(|stray| stray.id.as_str()).collect();
    assert_eq!(ids, [lost.id.as_str()], "{strays:?}");
    assert!(!strays[0].what.is_empty());
    place.block(place.runtime().clear(&strays[0])).unwrap();
    place.block(place.runtime().clear(&strays[0])).unwrap();
    until("nothing remains", || place.remains(&lost.id).is_empty());
    assert_eq!(place.block(place.runtime().strays()).unwrap(), vec![]);
    place.stop(&running[1]);
    assert!(place.end(&running[1]).record.stopped, "the one beside it went on");
}

fn what_has_its_directory_is_no_stray(place: &Place) {
    let running = place.start(&sh("echo up; sleep 600"));
    running.says("up");
    assert_eq!(place.block(place.runtime().strays()).unwrap(), vec![]);
    place.stop(&running);
    place.wait(&running);
    assert_eq!(
        place.block(place.runtime().strays()).unwrap(),
        vec![],
        "nor one that ended"
    );
    place.remove(running.dir()).unwrap();
    assert_eq!(place.block(place.runtime().strays()).unwrap(), vec![]);
}
