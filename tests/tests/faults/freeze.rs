//! Processes that stand still for longer than a lease, as in a paused virtual machine.

use std::{thread, time::Duration};

use e2e::{
    Stack, Witness,
    ledger::{Ledger, Row},
    process::signal,
    scene::{Judgement, Scene, cleaned},
};

/// The lease of the steps here.
const LEASE: Duration = Duration::from_secs(2);
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

/// A server that stood still for longer than lease and margin of a step that goes on by itself calls nothing lost.
#[test]
fn a_frozen_server_expires_nothing_when_it_wakes() {
    let mut ledger = Ledger::new("a server frozen for 14 s");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let scene = Scene::one(1_000);
    let run = scene.start(&mut stack, &witness, "frozen", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    let server = stack.server_process().pid();
    signal(server, libc::SIGSTOP);
    thread::sleep(LEASE + MARGIN + LEASE);
    signal(server, libc::SIGCONT);
    drop(stack.finished(&run));
    let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
    ledger.add(
        "STOP, then CONT",
        Row {
            figure: format!("{} false expiries", row.unknown),
            ..row.clone()
        },
    );
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 0), "{}", stack.said());
    cleaned(&stack);
}
