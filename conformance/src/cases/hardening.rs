//! The hardening as the step itself sees it.

use crate::Ids;
use crate::place::{Place, sh};
use crate::probe::field;

crate::suite![
    no_capability_is_in_any_set,
    no_new_privileges_is_on,
    system_calls_are_filtered,
    root_inside_has_no_power,
    a_step_is_nobody_on_the_host,
    steps_at_once_never_share_a_host_user,
    a_step_is_no_better_prey_for_the_oom_killer_than_asked,
];

const USERS: [Option<u32>; 3] = [None, Some(0), Some(65_534)];

fn statuses(place: &Place) -> Vec<String> {
    USERS
        .iter()
        .map(|user| {
            let mut spec = sh("cat /proc/self/status");
            spec.user = *user;
            place.run(&spec).out()
        })
        .collect()
}

fn no_capability_is_in_any_set(place: &Place) {
    for status in statuses(place) {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, set), "0000000000000000", "{set} {status}");
        }
    }
}

fn no_new_privileges_is_on(place: &Place) {
    for status in statuses(place) {
        assert_eq!(field(&status, "NoNewPrivs"), "1");
    }
}

fn system_calls_are_filtered(place: &Place) {
    for status in statuses(place) {
        assert_eq!(field(&status, "Seccomp"), "2");
        assert_ne!(field(&status, "Seccomp_filters"), "0");
    }
}

fn root_inside_has_no_power(place: &Place) {
    let mut spec = sh(
        "touch /tmp/f; chown 1 /tmp/f 2>/dev/null && echo chown; mknod /tmp/d c 1 1 2>/dev/null && echo mknod; \
        chroot / true 2>/dev/null && echo chroot; nice -n -5 true 2>/dev/null && nice -n -5 nice 2>/dev/null | grep -q -- -5 && echo nice; \
        date -s 2001-01-01 2>/dev/null | grep -q 2001 && [ $(date +%Y) = 2001 ] && echo date; ulimit -l unlimited 2>/dev/null && echo mlock; true",
    );
    spec.user = Some(0);
    assert_eq!(place.run(&spec).out(), "");
}

fn a_step_is_nobody_on_the_host(place: &Place) {
    if place.answers().ids == Ids::Same {
        // The daemon maps no ids: then the ids themselves must be those that were asked for, and powerless.
        let ran = place.sh("cat /proc/self/uid_map");
        assert_eq!(
            ran.out().split_whitespace().collect::<Vec<_>>(),
            ["0", "0", "4294967295"]
        );
        return;
    }
    for user in USERS {
        let mut spec = sh("cat /proc/self/uid_map");
        spec.user = user;
        let ran = place.run(&spec);
        let map: Vec<u64> = ran
            .out()
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        if place.answers().ids == Ids::Agent {
            let asked = u64::from(user.unwrap_or(1000));
            assert_eq!((map[0], map[2]), (asked, 1), "nobody else is in its namespace");
            let agent = nix::unistd::geteuid().as_raw();
            assert_eq!(
                ran.record.hardening.unwrap().host_uid_base,
                agent,
                "and it is told"
            );
            continue;
        }
        assert_eq!((map[0], map[2]), (0, 65_536));
        assert!(map[1] >= 1_879_048_192, "never a real user of the host: {map:?}");
        assert_eq!(u64::from(ran.record.hardening.unwrap().host_uid_base), map[1]);
    }
}

fn steps_at_once_never_share_a_host_user(place: &Place) {
    if place.answers().ids != Ids::Range {
        // They share ids, and nothing that an id would open: no files, no processes.
        let neighbour = place.start(&sh("echo up; sleep 600"));
        neighbour.says("up");
        let ran = place.sh("kill -9 -1; ls -d /proc/[0-9]* | wc -l");
        assert!(
            ran.out().trim().parse::<u32>().is_ok_and(|count| count < 6) || ran.died_of(place, 9),
            "{}",
            ran.out()
        );
        place.stop(&neighbour);
        assert!(place.end(&neighbour).record.stopped);
        return;
    }
    let running: Vec<_> = (0..4).map(|_| place.start(&sh("sleep 1"))).collect();
    let mut bases: Vec<u32> = running
        .iter()
        .map(|one| place.end(one).record.hardening.unwrap().host_uid_base)
        .collect();
    bases.sort_unstable();
    bases.dedup();
    assert_eq!(bases.len(), 4);
}

fn a_step_is_no_better_prey_for_the_oom_killer_than_asked(place: &Place) {
    let out = place.sh("cat /proc/self/oom_score_adj; (echo -1000 > /proc/self/oom_score_adj) 2>/dev/null && echo lowered; cat /proc/self/oom_score_adj").out();
    let scores: Vec<i32> = out
        .lines()
        .map(|line| line.parse().unwrap_or_else(|_| panic!("{out}")))
        .collect();
    assert!(
        scores.iter().all(|score| *score >= 0),
        "a step is never spared before the agent: {scores:?}"
    );
}
