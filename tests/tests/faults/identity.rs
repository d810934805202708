//! Two agents with one identity: a cloned machine.

use std::process::Command;

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    scene::{Judgement, Scene},
    stack::PATIENCE,
    wait,
};

#[test]
fn a_cloned_agent_starts_nothing_twice_and_is_told_of() {
    let mut ledger = Ledger::new("two agents with one identity");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    stack.agent_process("one").stop();
    let (from, to) = (stack.agent_dir("one"), stack.agent_dir("clone"));
    let copied = Command::new("cp").arg("-a").args([&from, &to]).status().unwrap();
    assert!(copied.success());
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
