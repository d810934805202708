//! Two agents with one identity: a cloned machine.

use std::process::Command;

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// The first of the two waits for its disk when the other one comes: it lives all the same, and is the agent.
#[test]
fn an_agent_that_waits_for_its_disk_is_not_taken_for_dead() {
    let mut ledger = Ledger::new("a copy of an agent comes while the first waits 6.5 s for its disk");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    stack.agent_process("one").stop();
    copy(&stack);
    stack.start_agent("one");
    // Longer than a probe is waited for; with a heartbeat before it, shorter than an agent may be silent.
    stack.arm("spool.flush", "sleep 6500");
    let scene = Scene::two();
    let run = scene.start(&mut stack, &witness, "slow-disk", |_| ());
    wait::until("the first to wait", PATIENCE, || {
        stack.reached("spool.flush").then_some(())
    });
    stack.clone_agent("one", "clone");
    wait::until("the copy to be refused", PATIENCE, || {
        stack
            .said_by("clone")
            .contains("refused by the server")
            .then_some(())
    });
    scene.went_through(&mut ledger, "the first", (&stack, &witness, &run), String::new());
    assert!(
        !stack.said_by("clone").contains("connected session"),
        "{}",
        stack.said()
    );
    cleaned(&stack);
}

fn copy(stack: &Stack) {
    let (from, to) = (stack.agent_dir("one"), stack.agent_dir("clone"));
    let copied = Command::new("cp").arg("-a").args([&from, &to]).status().unwrap();
    assert!(copied.success());
}

#[test]
fn a_cloned_agent_starts_nothing_twice_and_is_told_of() {
    let mut ledger = Ledger::new("two agents with one identity");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    stack.agent_process("one").stop();
    copy(&stack);
    stack.start_agent("one");
    stack.clone_agent("one", "clone");
    for round in 0..6 {
        let scene = Scene::two();
        let run = scene.start(&mut stack, &witness, &format!("clone-{round}"), |_| ());
        drop(stack.finished(&run));
        let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
        ledger.add("both run", row.clone());
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
        assert_eq!((row.starts, row.unknown), (2, 0), "{}", stack.said());
    }
    wait::until("an alarm", PATIENCE, || {
        stack
            .said()
            .contains("does a copy of its data directory run")
            .then_some(())
    });
}
