//! Processes that stand still for longer than a lease, as in a paused virtual machine.

use std::{
    thread,
    time::{Duration, Instant},
};

use e2e::{
    Stack, Witness,
    ledger::{Ledger, Row},
    process::signal,
    scene::{Judgement, Scene, cleaned},
};

/// The server adds this (`types::limits::LEASE_MARGIN_MS`) before it calls an attempt lost.
const MARGIN: Duration = Duration::from_secs(10);

/// An agent that wakes after its lease ends what it ran, starts nothing again, and its late result changes nothing.
#[test]
fn an_agent_frozen_past_its_lease_ends_its_work_when_it_wakes() {
    let mut ledger = Ledger::new("an agent frozen past its lease");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let mut scene = Scene::one(60_000);
    scene.more = "disconnect: 2s\n    if-lost: fail".to_owned();
    let run = scene.start(&mut stack, &witness, "frozen", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    let agent = stack.agent_process("one").pid();
    signal(agent, libc::SIGSTOP);
    let view = stack.finished(&run);
    assert!(view["reasons"].to_string().contains("may have run"), "{view:#}");
    signal(agent, libc::SIGCONT);
    cleaned(&stack);
    let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
    ledger.add("STOP past the lease, then CONT", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 1), "{}", stack.said());
    assert_eq!(
        stack.finished(&run)["outcome"],
        view["outcome"],
        "a late result changes nothing"
    );
}

/// A server that stood still for longer than lease and margin calls nothing lost before it has heard the agents again: a
/// step that ended meanwhile has its result, and one that may be run again is not.
#[test]
fn a_frozen_server_expires_nothing_when_it_wakes() {
    // The agents count it too, so a step must end within it on a slow machine as well.
    const LEASE: Duration = Duration::from_secs(12);
    let frozen = LEASE + MARGIN + Duration::from_secs(2);
    let mut ledger = Ledger::new(&format!("a server frozen for {} s", frozen.as_secs()));
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let mut runs = Vec::new();
    for if_lost in ["fail", "rerun"] {
        let mut scene = Scene::one(3_000);
        scene.more = format!("disconnect: {}s\n    if-lost: {if_lost}", LEASE.as_secs());
        let run = scene.start(&mut stack, &witness, if_lost, |_| ());
        runs.push((if_lost, scene, run));
    }
    for (_, _, run) in &runs {
        witness.wait_for_prefix(&format!("start {run}"));
    }
    let server = stack.server_process().pid();
    signal(server, libc::SIGSTOP);
    let begun = Instant::now();
    for (_, _, run) in &runs {
        witness.wait_for_prefix(&format!("end {run}"));
    }
    thread::sleep(frozen.saturating_sub(begun.elapsed()));
    signal(server, libc::SIGCONT);
    for (if_lost, scene, run) in &runs {
        let view = stack.finished(run);
        let Judgement { row, wrong } = scene.judge(&stack, &witness, run);
        ledger.add(
            &format!("STOP, then CONT, if-lost: {if_lost}"),
            Row {
                figure: format!("{} false expiries", row.unknown),
                ..row.clone()
            },
        );
        assert!(wrong.is_empty(), "{if_lost}: {wrong:#?}\n{}", stack.said());
        assert_eq!((row.starts, row.unknown), (1, 0), "{if_lost}: {}", stack.said());
        assert_eq!(
            view["steps"][0]["attempts"][0]["exit_code"], 7,
            "{if_lost}: {view:#}"
        );
    }
    let said = stack.said_by("server");
    assert!(said.contains("stood still"), "{said}");
    cleaned(&stack);
}
