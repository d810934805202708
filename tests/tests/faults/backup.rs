//! A backup made under load and restored later, while agents know more than it does; and two of everything that may be
//! there once.

use std::process::Output;

use e2e::{
    Stack, Witness,
    gate::Gate,
    http,
    ledger::{Ledger, Row},
    process,
    scene::{Scene, Step, cleaned},
    stack::PATIENCE,
    wait,
};

/// Two steps, one after the other.
fn two() -> Scene {
    Scene::of(vec![Step::short("a", &[]), Step::short("b", &["a"])])
}

/// The definition, whose first step waits at the gate after its first word.
fn held_at(gate: &Gate, text: &str) -> String {
    let waits = format!("      {}\n      for i in", gate.wait());
    text.replacen("      for i in", &waits, 1)
}

fn starts(witness: &Witness, run: &str, step: &str) -> usize {
    witness.count_prefix(&format!("start {run} {step} "))
}

fn firehall(args: &[&str]) -> Output {
    process::run(args)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_backup_under_load_restored_older_offers_nothing_twice_and_applies_nothing_silently() {
    let mut ledger = Ledger::new("a backup under load, restored when agents know more");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let done = Scene::two().start(&mut stack, &witness, "done", |_| ());
    drop(stack.finished(&done));
    // Goes on after the backup, and ends before the restore.
    let begun = Gate::closed();
    let went_on = stack.start(&held_at(&begun, &two().definition(&witness)), &[]);
    // Runs when the server goes, and ends while there is none.
    let gate = Gate::closed();
    let late = stack.start(&held_at(&gate, &Scene::one(100).definition(&witness)), &[]);
    for run in [&went_on, &late] {
        witness.wait_for_prefix(&format!("start {run}"));
    }
    for n in 0..5 {
        drop(Scene::two().start(&mut stack, &witness, &format!("load-{n}"), |_| ()));
    }
    let (data, backup) = (stack.dir().join("server"), stack.dir().join("backup"));
    let (data, backup) = (data.display().to_string(), backup.display().to_string());
    let made = firehall(&["backup", "--data-dir", &data, &backup]);
    assert!(made.status.success(), "{}", said(&made));
    let again = firehall(&["backup", "--data-dir", &data, &backup]);
    assert!(
        !again.status.success() && said(&again).contains("there already"),
        "{}",
        said(&again)
    );
    begun.open();
    drop(stack.finished(&went_on));
    // Not in the backup, and runs when it is restored.
    let newer = Scene::one(120_000).start(&mut stack, &witness, "newer", |_| ());
    witness.wait_for_prefix(&format!("start {newer}"));
    stack.server_process().kill9();
    gate.open();
    witness.wait_for_prefix(&format!("end {late}"));
    std::fs::rename(&data, stack.dir().join("lost")).unwrap();
    let restored = firehall(&["restore", "--data-dir", &data, &backup]);
    assert!(restored.status.success(), "{}", said(&restored));
    for run in [&went_on, &late] {
        assert!(said(&restored).contains(run.as_str()), "{}", said(&restored));
    }
    stack.start_server();
    stack.connected("one");
    // What the history does not know is stopped, and said.
    cleaned(&stack);
    wait::until("the agent's newer lease to be told of", PATIENCE, || {
        stack.said_by("server").contains(&newer).then_some(())
    });
    let after = Scene::two().start(&mut stack, &witness, "after", |_| ());
    drop(stack.finished(&after));
    let judged = Scene::two().judge(&stack, &witness, &after);
    assert!(judged.wrong.is_empty(), "{:#?}", judged.wrong);
    ledger.add("a run after the restore", judged.row);
    for (name, run, expected) in [
        ("went on and ended", &went_on, [1, 1]),
        ("ended without a server", &late, [1, 0]),
    ] {
        let view = stack.show(run);
        assert_eq!(view["outcome"], "failed", "{name}: {view:#}");
        assert!(
            view["reasons"].to_string().contains("restored from a backup"),
            "{name}: {view:#}"
        );
        let now = [starts(&witness, run, "a"), starts(&witness, run, "b")];
        assert_eq!(now, expected, "{name}: nothing is started twice");
        ledger.add(
            name,
            Row {
                runs: 1,
                starts: now.iter().sum(),
                ..Row::default()
            },
        );
    }
    // Followers of a run end with it; its history does not.
    let history = wait::until("the late result", PATIENCE, || {
        let path = format!("/runs/{late}/history.json");
        let history = http::request(stack.address(), "GET", &path, &[], b"").ok()?.body;
        history.contains("report.ignored").then_some(history)
    });
    assert!(!history.contains("attempt.finished"), "{history}");
    let view = stack.show(&done);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
}

/// One server a directory, one agent a directory.
#[test]
fn a_second_server_or_agent_on_the_same_directory_is_refused_at_once() {
    let mut ledger = Ledger::new("two processes on one directory");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let scene = Scene::one(500);
    let run = scene.start(&mut stack, &witness, "twice", |_| ());
    let server = stack.dir().join("server").display().to_string();
    let agent = stack.agent_dir("one").display().to_string();
    let url = stack.url();
    for (name, args, why) in [
        (
            "a second server",
            vec!["server", "--listen", "127.0.0.1:0", "--data-dir", &server],
            "another server is running on",
        ),
        (
            "a second agent",
            vec!["agent", "--server", &url, "--name", "two", "--data-dir", &agent],
            "another agent uses this data directory",
        ),
    ] {
        let begun = std::time::Instant::now();
        let output = firehall(&args);
        let took = begun.elapsed();
        assert!(
            !output.status.success() && said(&output).contains(why),
            "{name}: {}",
            said(&output)
        );
        ledger.add(
            name,
            Row {
                figure: format!("refused after {} ms", took.as_millis()),
                ..Row::default()
            },
        );
    }
    drop(stack.finished(&run));
    let judged = scene.judge(&stack, &witness, &run);
    assert!(judged.wrong.is_empty(), "{:#?}", judged.wrong);
    ledger.add("a run meanwhile", judged.row);
    cleaned(&stack);
}
