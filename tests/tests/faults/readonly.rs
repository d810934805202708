//! A file system that the kernel makes read-only under an agent and under a server, as it does with a failing disk.

use std::time::Instant;

use e2e::{
    Stack, Witness,
    disk::BreakingDisk,
    ledger::Ledger,
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// The server refuses with the reason what it cannot store, and what runs meanwhile is reported once the disk is repaired.
#[test]
fn a_server_whose_disk_turns_read_only_refuses_and_loses_nothing() {
    let mut ledger = Ledger::new("the server's file system turns read-only, then it is repaired");
    let witness = Witness::start();
    let mut stack = Stack::server();
    stack.server_process().stop();
    let mut disk = BreakingDisk::at(&stack.dir().join("server"));
    stack.start_server();
    stack.agent("one", &[], &[]);
    let scene = Scene::one(1_000);
    let run = scene.start(&mut stack, &witness, "runs", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    disk.fail();
    let refused = stack.cli(&["run", &stack.file("refused.yaml", &scene.definition(&witness))]);
    assert!(!refused.status.success(), "nothing is acknowledged: {refused:?}");
    witness.wait_for_prefix(&format!("end {run}"));
    wait::until("the server to say why", PATIENCE, || {
        let said = stack.said_by("server").to_lowercase();
        (said.contains("read-only") || said.contains("readonly") || said.contains("could not be flushed"))
            .then_some(())
    });
    // The operator's part. It may have ended by itself: a flush that fails ends it.
    let alone = stack.server_process().ended().is_some();
    stack.server_process().kill9();
    disk.repair();
    let begun = Instant::now();
    stack.start_server();
    drop(stack.finished(&run));
    let how = if alone { "ended by itself" } else { "refused" };
    let figure = format!("{how}; known {} ms after the repair", begun.elapsed().as_millis());
    scene.went_through(&mut ledger, "while a step runs", (&stack, &witness, &run), figure);
    let listed = stack.json(&["runs", "-o", "json"]).unwrap();
    assert_eq!(
        listed.as_array().unwrap().len(),
        1,
        "what was refused is not there: {listed:#}"
    );
    let after = Scene::two().start(&mut stack, &witness, "after", |_| ());
    Scene::two().went_through(
        &mut ledger,
        "a run after it",
        (&stack, &witness, &after),
        String::new(),
    );
    stack.server_process().stop();
    cleaned(&stack);
}

/// An agent that cannot write ends and says why. What ran is reported after the repair as what is known of it: its end, where
/// its record was written, else a doubt; it never starts twice.
#[test]
fn an_agent_whose_disk_turns_read_only_ends_and_starts_nothing_twice() {
    let mut ledger = Ledger::new("the agent's file system turns read-only, then it is repaired");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let mut disk = BreakingDisk::at(&stack.agent_dir("one"));
    stack.agent("one", &[], &[]);
    let scene = Scene::one(1_000);
    let run = scene.start(&mut stack, &witness, "runs", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    disk.fail();
    witness.wait_for_prefix(&format!("end {run}"));
    let ended = wait::until("the agent to end", PATIENCE, || {
        stack.agent_process("one").ended()
    });
    assert!(!ended.success(), "{ended}");
    let said = stack.said_by("one");
    assert!(said.contains("Read-only file system"), "{said}");
    wait::until("the shim to end", PATIENCE, || {
        e2e::process::shims(stack.dir()).is_empty().then_some(())
    });
    disk.repair();
    stack.start_agent("one");
    let view = stack.finished(&run);
    let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
    row.figure = format!(
        "{}: {}",
        view["outcome"].as_str().unwrap_or_default(),
        view["reasons"]
    );
    ledger.add("while a step runs", row.clone());
    assert_eq!(
        view["outcome"], "failed",
        "it ended with 7, or nobody knows: {view:#}"
    );
    assert_eq!((row.starts, row.doubled), (1, 0), "{wrong:#?}\n{}", stack.said());
    assert!(
        row.unknown == 1 || wrong.is_empty(),
        "{wrong:#?}\n{}",
        stack.said()
    );
    let after = Scene::two().start(&mut stack, &witness, "after", |_| ());
    Scene::two().went_through(
        &mut ledger,
        "a run after it",
        (&stack, &witness, &after),
        String::new(),
    );
    cleaned(&stack);
}
