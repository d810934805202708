//! An agent on a host where something is otherwise than it was: its names, its boot, its predecessor.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use e2e::{
    Stack, Witness,
    ledger::{Ledger, Row},
    process::{self, signal},
    proxy::{Proxy, Rules},
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// The binary, in a mount namespace in which one file is replaced by another.
fn where_a_file_is(stack: &Stack, name: &str, replaced: &str, by: &str) -> PathBuf {
    let text = format!(
        "#!/bin/sh\nexec unshare --mount --propagation private sh -ec 'mount --bind {by} {replaced}; exec \"$0\" \"$@\"' {} \"$@\"\n",
        process::binary().display()
    );
    let path = PathBuf::from(stack.file(name, &text));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The server's name is not known, then it is.
#[test]
fn a_name_that_cannot_be_resolved_is_asked_for_until_it_can() {
    let mut ledger = Ledger::new("the server's name is unknown, then known");
    let witness = Witness::start();
    let mut stack = Stack::server_with(&["--public-host", "firehall.test"], &[]);
    let hosts = stack.file("hosts", "127.0.0.1 localhost\n");
    let program = where_a_file_is(&stack, "agent.sh", "/etc/hosts", &hosts);
    stack.agents_are(&program);
    let url = format!("http://firehall.test:{}", stack.address().port());
    stack.spawn_agent_through(&url, "one");
    let scene = Scene::two();
    let run = scene.start(&mut stack, &witness, "names", |_| ());
    wait::until("the agent to say what it meets", PATIENCE, || {
        (stack.said_by("one").matches("connecting again").count() > 1).then_some(())
    });
    assert!(
        stack.said_by("one").contains("firehall.test"),
        "{}",
        stack.said_by("one")
    );
    let mut file = fs::File::options().append(true).open(&hosts).unwrap();
    writeln!(file, "127.0.0.1 firehall.test").unwrap();
    let since = Instant::now();
    stack.connected("one");
    let figure = format!("connected {} ms after it was known", since.elapsed().as_millis());
    scene.went_through(&mut ledger, "no such name", (&stack, &witness, &run), figure);
    cleaned(&stack);
}

/// The host was started anew: its containers are gone, the spool is there. What may have run is in doubt.
#[test]
fn a_reboot_of_the_host_is_a_doubt_and_never_a_second_start() {
    let mut ledger = Ledger::new("the host was started anew in the middle of a step");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let scene = Scene::one(60_000);
    let run = scene.start(&mut stack, &witness, "reboot", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    stack.agent_process("one").kill9();
    for pid in process::shims(stack.dir()) {
        signal(pid, libc::SIGKILL);
    }
    let boot = stack.file("boot_id", "00000000-1111-4222-8333-444444444444\n");
    let program = where_a_file_is(&stack, "rebooted.sh", "/proc/sys/kernel/random/boot_id", &boot);
    stack.agents_are(&program);
    stack.start_agent("one");
    let view = stack.finished(&run);
    let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
    ledger.add("another boot id, no containers", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 1), "{view:#}");
    assert!(view["reasons"].to_string().contains("may have run"), "{view:#}");
    // In that namespace no step can have a `/proc` of its own.
    stack.agent_process("one").stop();
    stack.agents_are(&process::binary());
    stack.start_agent("one");
    let after = Scene::two().start(&mut stack, &witness, "after", |_| ());
    Scene::two().went_through(
        &mut ledger,
        "a run after it",
        (&stack, &witness, &after),
        String::new(),
    );
    cleaned(&stack);
}

/// Keepalive and its timeout: how long a dead connection may look alive.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A host vanishes without a word and comes back: its agent is not taken for a copy of itself for half a minute.
#[test]
fn an_agent_that_vanished_without_a_word_is_let_in_again_soon() {
    let mut ledger = Ledger::new("a host is gone without a word, and comes back");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let proxy = Proxy::to(stack.address());
    stack.agent_through(&proxy.url(), "one", &[], &[]);
    let scene = Scene::one(500);
    let run = scene.start(&mut stack, &witness, "vanished", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    let sessions = stack.said_by("server").matches("agent connected").count();
    proxy.set(Rules::part);
    let since = Instant::now();
    stack.agent_process("one").kill9();
    let url = stack.url();
    stack.agent_dials("one", &url);
    stack.spawn_agent("one");
    wait::until("the agent to be let in", PATIENCE, || {
        (stack.said_by("server").matches("agent connected").count() > sessions).then_some(())
    });
    let took = since.elapsed();
    let waited = stack.said_by("server").contains("refused: another process");
    let figure = format!(
        "let in {} ms after it was gone, refused before: {waited}",
        took.as_millis()
    );
    // The dead connection is still open on the server's side: else this would say nothing.
    assert!(
        took > KEEPALIVE || !waited,
        "it was refused although nobody answers\n{}",
        stack.said()
    );
    scene.went_through(&mut ledger, "half-open", (&stack, &witness, &run), figure);
    proxy.heal();
    ledger.add("then the old connection is back", Row::default());
    cleaned(&stack);
}

/// Twenty steps run, their agent is drained and upgraded in the middle: nothing new is offered, and all end as they are.
#[test]
fn a_drained_agent_finishes_what_it_has_over_an_upgrade_and_takes_nothing_new() {
    let mut ledger = Ledger::new("an agent with 20 steps is drained and restarted");
    let witness = Witness::start();
    let mut stack = Stack::server();
    stack.agent("one", &["--capacity", "20"], &[]);
    let scene = Scene::one(4_000);
    let runs: Vec<String> = (0..20)
        .map(|n| scene.start(&mut stack, &witness, &format!("drained-{n}"), |_| ()))
        .collect();
    for run in &runs {
        witness.wait_for_prefix(&format!("start {run}"));
    }
    let begun = Instant::now();
    assert!(stack.cli(&["agents", "drain", "one"]).status.success());
    stack.agent_process("one").stop();
    stack.start_agent("one");
    let waits = Scene::two().start(&mut stack, &witness, "waits", |_| ());
    for run in &runs {
        let figure = format!("drained {} ms after", begun.elapsed().as_millis());
        scene.went_through(
            &mut ledger,
            "drained and restarted",
            (&stack, &witness, run),
            figure,
        );
    }
    let state = || {
        let agents = stack.cli(&["agents"]);
        String::from_utf8_lossy(&agents.stdout).into_owned()
    };
    wait::until("the agent to be drained", PATIENCE, || {
        state().contains(" drained").then_some(())
    });
    assert!(stack.json(&["agents", "-o", "json"]).unwrap()[0]["drained"] == true);
    assert_eq!(
        witness.count_prefix(&format!("start {waits}")),
        0,
        "nothing new is offered"
    );
    assert!(
        stack.show(&waits).to_string().contains("one is drain"),
        "{}",
        stack.show(&waits)
    );
    assert!(stack.cli(&["agents", "uncordon", "one"]).status.success());
    Scene::two().went_through(
        &mut ledger,
        "what waited",
        (&stack, &witness, &waits),
        String::new(),
    );
    cleaned(&stack);
}
