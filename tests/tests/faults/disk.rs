//! Full disks of an agent and of a server, and room again.

use std::time::Instant;

use e2e::{
    Stack, Witness,
    disk::SmallDisk,
    ledger::Ledger,
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// A step that says all it has to say at once, and ends later: what is printed on a full disk is lost, and counted.
fn quiet(ms: u32) -> Scene {
    let mut scene = Scene::one(ms);
    (scene.steps[0].lines, scene.steps[0].pause_ms) = (1, ms);
    scene
}

/// What runs is reported although nothing can be written any more; what comes meanwhile waits for room.
#[test]
fn an_agent_with_a_full_disk_reports_what_runs_and_takes_nothing_new() {
    let mut ledger = Ledger::new("the agent's disk is full, then there is room again");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let disk = SmallDisk::of_mebibytes(&stack.agent_dir("one"), 48);
    stack.agent("one", &[], &[]);
    let scene = quiet(3_000);
    let runs = scene.start(&mut stack, &witness, "runs", |_| ());
    witness.wait_for_prefix(&format!("start {runs}"));
    // What it says later there may be no room for.
    wait::until("its line", PATIENCE, || {
        (stack.logs(&runs, "a") == b"a line 1\n").then_some(())
    });
    disk.fill();
    wait::until("the agent to notice", PATIENCE, || {
        stack.said_by("one").contains("the disk is full").then_some(())
    });
    let waits = scene.start(&mut stack, &witness, "waits", |_| ());
    drop(stack.finished(&runs));
    assert!(
        stack.show(&waits)["outcome"].is_null(),
        "it waits\n{}",
        stack.said()
    );
    disk.free();
    let begun = Instant::now();
    drop(stack.finished(&waits));
    let took = format!("{} ms after there was room", begun.elapsed().as_millis());
    for (fault, run, figure) in [
        ("full while it runs", runs, String::new()),
        ("full before it", waits, took),
    ] {
        let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
        row.figure = figure;
        ledger.add(fault, row.clone());
        assert!(wrong.is_empty(), "{fault}: {wrong:#?}\n{}", stack.said());
        assert_eq!((row.starts, row.unknown), (1, 0), "{fault}\n{}", stack.said());
    }
    cleaned(&stack);
}

/// New work is refused with the reason, what is under way is kept by the agent, and all goes on by itself with room.
#[test]
fn a_server_with_a_full_disk_refuses_new_work_and_loses_none() {
    let mut ledger = Ledger::new("the server's disk is full, then there is room again");
    let witness = Witness::start();
    let mut stack = Stack::server();
    stack.server_process().stop();
    let disk = SmallDisk::of_mebibytes(&stack.dir().join("server"), 8);
    stack.start_server();
    stack.agent("one", &[], &[]);
    let scene = quiet(500);
    let run = scene.start(&mut stack, &witness, "runs", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    disk.fill();
    let file = stack.file("refused.yaml", &scene.definition(&witness));
    // A few pages may be left in the log of the database.
    let mut accepted = vec![run];
    let refusal = wait::until("a refusal", PATIENCE, || {
        let output = stack.cli(&["run", &file]);
        if output.status.success() {
            accepted.push(String::from_utf8(output.stdout).unwrap().trim().to_owned());
            return None;
        }
        Some(String::from_utf8_lossy(&output.stderr).into_owned())
    });
    assert!(refusal.contains("cannot write now"), "{refusal}");
    assert!(stack.said_by("server").contains("full"), "{}", stack.said());
    witness.wait_for_prefix(&format!("end {}", accepted[0]));
    disk.free();
    let begun = Instant::now();
    for (index, run) in accepted.iter().enumerate() {
        drop(stack.finished(run));
        let Judgement { mut row, wrong } = scene.judge(&stack, &witness, run);
        row.figure = format!("{} ms after there was room", begun.elapsed().as_millis());
        let fault = if index == 0 {
            "full while it runs"
        } else {
            "accepted with the last pages"
        };
        ledger.add(fault, row.clone());
        assert!(wrong.is_empty(), "{fault}: {wrong:#?}\n{}", stack.said());
        assert_eq!((row.starts, row.unknown), (1, 0), "{fault}\n{}", stack.said());
    }
    let listed = stack.json(&["runs", "-o", "json"]).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), accepted.len(), "{listed:#}");
    cleaned(&stack);
}
