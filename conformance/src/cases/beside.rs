//! Containers beside each other in one network: what holds it, names, readiness, and that each ends for itself.

use runtime::{ContainerSpec, Ended, Network, Pod};
use types::{Ready, ReadyCheck, Secret};

use super::files;
use crate::place::{Place, Running, bash, exec, processes_with, sh, unique, until};

crate::suite![
    they_share_a_loopback_under_their_names,
    other_attempts_are_not_in_it,
    a_command_says_that_it_is_ready_with_its_own_environment,
    what_never_gets_ready_is_ended_and_says_why,
    a_look_that_hangs_is_ended,
    what_ends_before_it_is_ready_has_its_own_exit_code,
    one_that_dies_leaves_the_others_their_network,
    what_holds_it_is_hardened_and_ends_when_told,
    readiness_goes_on_without_an_agent,
    nobody_joins_what_is_gone,
    each_has_its_own_files_and_secrets,
    they_reach_the_world_as_one,
];

const PORT: u16 = 5432;

fn ready(check: ReadyCheck, timeout_ms: u64) -> Option<Ready> {
    Some(Ready {
        check,
        interval_ms: 50,
        timeout_ms,
    })
}

fn holder(hosts: &[&str]) -> ContainerSpec {
    let mut spec = exec(&[]);
    spec.memory_bytes = 32 * 1024 * 1024;
    spec.pod = Pod {
        hosts: hosts.iter().map(|name| (*name).to_owned()).collect(),
        holds: true,
        ..Pod::default()
    };
    spec
}

/// One that answers whoever connects with a word.
fn server(port: u16, word: &str) -> ContainerSpec {
    exec(&[
        "/usr/bin/perl",
        "-MSocket",
        "-e",
        &format!(
            "$| = 1; socket(S, AF_INET, SOCK_STREAM, 0) or die; setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1); \
             bind(S, pack_sockaddr_in({port}, INADDR_ANY)) or die \"bind: $!\"; listen(S, 8) or die; \
             print \"listens\\n\"; while (accept(C, S)) {{ print C \"{word}\\n\"; close C }}"
        ),
    ])
}

/// Starts what holds a network; the answer is put into the specs of those that join it.
fn held(place: &Place, hosts: &[&str]) -> (Running, Pod) {
    let spec = holder(hosts);
    let running = place.start(&spec);
    is_ready(&running);
    let pod = Pod {
        hosts: spec.pod.hosts.clone(),
        network_of: Some(place.dir(&spec.id)),
        ..Pod::default()
    };
    (running, pod)
}

fn is_ready(running: &Running) -> u64 {
    let mut after = None;
    until("ready", || {
        after = running.dir().ready().unwrap();
        after.is_some()
    });
    after.unwrap()
}

fn within(mut spec: ContainerSpec, pod: &Pod, ready: Option<Ready>) -> ContainerSpec {
    spec.pod = Pod { ready, ..pod.clone() };
    spec
}

fn asks(name: &str, port: u16) -> ContainerSpec {
    bash(&format!("exec 3<>/dev/tcp/{name}/{port} && cat <&3"))
}

fn they_share_a_loopback_under_their_names(place: &Place) {
    let (_holder, pod) = held(place, &["db", "cache"]);
    let tcp = |port| ready(ReadyCheck::Tcp(port), 30_000);
    let db = place.start(&within(server(PORT, "I am db"), &pod, tcp(PORT)));
    let cache = place.start(&within(server(6379, "I am cache"), &pod, tcp(6379)));
    is_ready(&db);
    is_ready(&cache);
    for (name, port, word) in [
        ("db", PORT, "db"),
        ("cache", 6379, "cache"),
        ("localhost", PORT, "db"),
    ] {
        let ran = place.run(&within(asks(name, port), &pod, None));
        assert_eq!(ran.out(), format!("I am {word}\n"), "{}", ran.err());
    }
    let seen = place.run(&within(sh("tail -n +3 /proc/net/dev | cut -d: -f1"), &pod, None));
    assert_eq!(seen.out().trim(), "lo", "and nothing else");
}

fn other_attempts_are_not_in_it(place: &Place) {
    let tcp = || ready(ReadyCheck::Tcp(PORT), 30_000);
    let mut pods = Vec::new();
    for word in ["first", "second"] {
        // The same port in both.
        let (holder, pod) = held(place, &["db"]);
        let db = place.start(&within(server(PORT, word), &pod, tcp()));
        is_ready(&db);
        pods.push((word, holder, pod, db));
    }
    for (word, _, pod, _) in &pods {
        assert_eq!(
            place.run(&within(asks("db", PORT), pod, None)).out(),
            format!("{word}\n")
        );
    }
    let alone = place.run(&asks("localhost", PORT));
    assert_ne!(alone.record.code, Some(0), "a step of its own reaches neither");
}

fn a_command_says_that_it_is_ready_with_its_own_environment(place: &Place) {
    let (_holder, pod) = held(place, &["db"]);
    let look = "test \"$WHO/$PASSWORD\" = me/geheim && test \"$(id -u)\" = 1234 && test -e /tmp/up";
    let argv = ["/bin/sh", "-c", look].map(str::to_owned);
    let check = ReadyCheck::Command(argv.into());
    let mut spec = within(
        sh("sleep 1; touch /tmp/up; sleep 600"),
        &pod,
        ready(check, 30_000),
    );
    spec.user = Some(1234);
    spec.env.push(("WHO".to_owned(), "me".to_owned()));
    let secrets = vec![("PASSWORD".to_owned(), Secret::new("geheim".to_owned()))];
    let after = is_ready(&place.start_with(&spec, secrets));
    assert!(after >= 300, "{after} ms");
}

fn what_never_gets_ready_is_ended_and_says_why(place: &Place) {
    let (_holder, pod) = held(place, &["db"]);
    let spec = within(
        sh("echo waits; exec sleep 600"),
        &pod,
        ready(ReadyCheck::Tcp(PORT), 2_500),
    );
    let ran = place.run(&spec);
    assert_eq!(
        ran.record.not_ready.as_deref(),
        Some("port 5432: Connection refused")
    );
    assert!(!ran.record.stopped && !ran.record.timed_out, "{:?}", ran.record);
    assert_eq!(
        (ran.out(), ran.dir.ready().unwrap()),
        ("waits\n".to_owned(), None)
    );
}

fn a_look_that_hangs_is_ended(place: &Place) {
    let (_holder, pod) = held(place, &["db"]);
    let mark = unique();
    let argv = ["/bin/sh", "-c", &format!("sleep 600; : {mark}")].map(str::to_owned);
    let spec = within(
        sh("exec sleep 600"),
        &pod,
        ready(ReadyCheck::Command(argv.into()), 1_500),
    );
    let running = place.start(&spec);
    until("it looks", || !processes_with(&mark).is_empty());
    assert!(place.end(&running).record.not_ready.is_some());
    until("its look is gone", || {
        processes_with(&mark).iter().all(|line| line.contains(&spec.id))
    });
}

fn what_ends_before_it_is_ready_has_its_own_exit_code(place: &Place) {
    let (_holder, pod) = held(place, &["db"]);
    let spec = within(
        sh("echo no room >&2; exit 7"),
        &pod,
        ready(ReadyCheck::Tcp(PORT), 30_000),
    );
    let ran = place.run(&spec);
    assert_eq!((ran.record.code, ran.record.not_ready.clone()), (Some(7), None));
    assert_eq!(
        (ran.err(), ran.dir.ready().unwrap()),
        ("no room\n".to_owned(), None)
    );
}

fn one_that_dies_leaves_the_others_their_network(place: &Place) {
    let (holder, pod) = held(place, &["db", "cache"]);
    let dies = place.start(&within(sh("echo up; exit 3"), &pod, None));
    let stays = place.start(&within(
        server(PORT, "still"),
        &pod,
        ready(ReadyCheck::Tcp(PORT), 30_000),
    ));
    is_ready(&stays);
    assert_eq!(place.end(&dies).record.code, Some(3));
    assert_eq!(place.run(&within(asks("db", PORT), &pod, None)).out(), "still\n");
    // Nor does the end of what holds it take it from who is in it.
    let step = place.start(&within(
        // Long enough for the holder's end; a slow one makes this case prove less, not fail.
        bash(&format!(
            "echo in; sleep 2; exec 3<>/dev/tcp/db/{PORT} && cat <&3"
        )),
        &pod,
        None,
    ));
    step.says("in");
    place.stop(&holder);
    place.end(&holder);
    assert_eq!(place.end(&step).out(), "in\nstill\n");
}

fn what_holds_it_is_hardened_and_ends_when_told(place: &Place) {
    let (holder, _) = held(place, &["db"]);
    place.stop(&holder);
    let ran = place.end(&holder);
    assert!(
        ran.record.stopped && !ran.record.killed_after_grace,
        "{:?}",
        ran.record
    );
    assert_eq!(ran.record.code, Some(0));
    let hardening = ran.record.hardening.unwrap();
    assert!(hardening.no_new_privs && hardening.seccomp == 2);
    assert!(hardening.cap_bounding.chars().all(|digit| digit == '0'));
}

fn readiness_goes_on_without_an_agent(place: &Place) {
    let (_holder, pod) = held(place, &["db"]);
    let argv = ["/bin/sh", "-c", "test -e /tmp/up"].map(str::to_owned);
    let spec = within(
        sh("echo up; sleep 0.5; touch /tmp/up; sleep 600"),
        &pod,
        ready(ReadyCheck::Command(argv.into()), 30_000),
    );
    drop(place.start(&spec));
    let agent = place.reopened();
    let found = place.adopt(agent.as_ref(), &spec.id).expect("it runs");
    is_ready(&found);
    place.block(agent.stop(found.dir().path())).unwrap();
    assert!(place.end(&found).record.stopped);
}

fn nobody_joins_what_is_gone(place: &Place) {
    let (holder, pod) = held(place, &["db"]);
    place.stop(&holder);
    place.end(&holder);
    let spec = within(sh("echo ran"), &pod, None);
    match place.begin(&spec, Vec::new()) {
        // Where the daemon says it.
        Err(_) => {}
        Ok(runtime::Found::Ended(ended)) => assert!(not_run(&ended), "{ended:?}"),
        Ok(runtime::Found::Running(running)) => {
            let ended = place.block(running.wait()).unwrap();
            assert!(not_run(&ended), "{ended:?}");
        }
    }
    let wrote = std::fs::read(place.dir(&spec.id).join("out")).unwrap_or_default();
    assert_eq!(wrote, b"");
}

fn not_run(ended: &Ended) -> bool {
    match ended {
        Ended::Finished(record) => record.start_error.is_some() && !record.started,
        Ended::NeverStarted(_) => true,
        Ended::Lost => false,
    }
}

fn each_has_its_own_files_and_secrets(place: &Place) {
    let (_holder, pod) = held(place, &["db"]);
    let mut spec = within(
        sh(
            "cat /etc/app/db.conf; echo \"$PASSWORD\"; stat -c %a /etc/app/db.conf; \
            (echo more >> /etc/app/db.conf) 2>/dev/null || echo held; exec sleep 600",
        ),
        &pod,
        ready(
            ReadyCheck::Command(
                [
                    "/bin/sh",
                    "-c",
                    "grep -q port /etc/app/db.conf && test \"$PASSWORD\" = geheim",
                ]
                .map(str::to_owned)
                .into(),
            ),
            30_000,
        ),
    );
    spec = files::with(place, spec, &[("/etc/app/db.conf", 0o444, b"port 5432\n")]);
    let secrets = vec![("PASSWORD".to_owned(), Secret::new("geheim".to_owned()))];
    let db = place.start_with(&spec, secrets);
    is_ready(&db);
    db.says("held");
    assert_eq!(
        std::fs::read_to_string(db.dir().stdout()).unwrap(),
        "port 5432\ngeheim\n444\nheld\n"
    );
    let step = place.run(&within(
        sh("ls /etc/app 2>/dev/null; echo \"<$PASSWORD>\""),
        &pod,
        None,
    ));
    assert_eq!(step.out(), "<>\n", "they are the service's alone");
}

/// A runtime without it says so.
fn they_reach_the_world_as_one(place: &Place) {
    let outside = |mut spec: ContainerSpec| {
        spec.network = Network::Egress;
        spec
    };
    let hold = outside(holder(&["db"]));
    if let Some(why) = place.runtime().refuses(&hold) {
        assert!(why.contains("egress"), "{why}");
        return;
    }
    is_ready(&place.start(&hold));
    let pod = Pod {
        hosts: hold.pod.hosts.clone(),
        network_of: Some(place.dir(&hold.id)),
        ..Pod::default()
    };
    let seen =
        "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort; tail -n +2 /proc/net/route | cut -f1-3";
    let step = place.run(&outside(within(sh(seen), &pod, None)));
    assert!(
        step.out().lines().any(|line| line != "lo"),
        "a way out: {}",
        step.out()
    );
    let beside = place.run(&outside(within(sh(seen), &pod, None)));
    assert_eq!(step.out(), beside.out(), "the same");
    let db = place.start(&outside(within(
        server(PORT, "I am db"),
        &pod,
        ready(ReadyCheck::Tcp(PORT), 30_000),
    )));
    is_ready(&db);
    let ran = place.run(&outside(within(asks("db", PORT), &pod, None)));
    assert_eq!(ran.out(), "I am db\n", "{}", ran.err());
    // Neither reaches what an egress keeps off.
    let ran = place.run(&outside(within(
        bash("timeout 5 bash -c 'exec 3<>/dev/tcp/169.254.169.254/80' 2>/dev/null && echo reached; true"),
        &pod,
        None,
    )));
    assert_eq!(ran.out(), "");
}
