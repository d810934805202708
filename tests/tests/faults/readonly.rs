//! A file system that the kernel makes read-only under a server, as it does with a failing disk.

use std::time::Instant;

use e2e::{
    Stack, Witness,
    disk::BreakingDisk,
    ledger::{Ledger, Row},
    scene::{Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// A machine without loop devices has no such disk to try: the table says so.
fn not_here(ledger: &mut Ledger) {
    let figure = "not tried: no loop device here".to_owned();
    ledger.add(
        "a disk that fails",
        Row {
            figure,
            ..Row::default()
        },
    );
}

/// The server refuses with the reason what it cannot store, and what runs meanwhile is reported once the disk is repaired.
#[test]
fn a_server_whose_disk_turns_read_only_refuses_and_loses_nothing() {
    let mut ledger = Ledger::new("the server's file system turns read-only, then it is repaired");
    let witness = Witness::start();
    let mut stack = Stack::server();
    stack.server_process().stop();
    let Some(mut disk) = BreakingDisk::at(&stack.dir().join("server")) else {
        return not_here(&mut ledger);
    };
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
