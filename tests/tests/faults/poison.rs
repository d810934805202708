//! A workflow over which the server panics, where it is begun, loaded, decided or shown: its run fails, and nobody else's.

use std::time::{Duration, Instant};

use e2e::{
    Stack, Witness, http,
    ledger::{Ledger, Row},
    scene::{Scene, cleaned},
};
use serde_json::{Value, json};

/// A scene under another name.
pub(super) fn named(scene: &Scene, witness: &Witness, name: &str) -> String {
    scene
        .definition(witness)
        .replacen("name: scene", &format!("name: {name}"), 1)
}

pub(super) fn start(stack: &Stack, name: &str, definition: &str) -> String {
    let file = stack.file(&format!("{name}.yaml"), definition);
    let output = stack.cli(&["run", &file]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The run as lists have it: of one that cannot be loaded nothing else can be had.
fn listed(stack: &Stack, run: &str) -> Value {
    e2e::wait::until(&format!("{run} to end"), e2e::stack::PATIENCE, || {
        let runs = stack.json(&["runs", "-o", "json"])?;
        let one = runs.as_array()?.iter().find(|one| one["id"] == run)?.clone();
        (!one["outcome"].is_null() && one["outcome"] != "running").then_some(one)
    })
}

/// It failed, and says that it is our defect; whatever ran of it is gone.
pub(super) fn failed(ledger: &mut Ledger, fault: &str, stack: &Stack, run: &str, figure: &str) {
    let view = listed(stack, run);
    ledger.add(
        fault,
        Row {
            runs: 1,
            figure: figure.to_owned(),
            ..Row::default()
        },
    );
    assert_eq!(view["outcome"], "failed", "{fault}: {view:#}\n{}", stack.said());
    if let Some(view) = stack.json(&["show", run, "-o", "json"]) {
        assert!(
            view["reasons"].to_string().contains("internal: "),
            "{fault}: {view:#}"
        );
    }
    cleaned(stack);
}

fn panics(stack: &Stack, place: &str) -> usize {
    let reached = stack.dir().join("failpoints").join(format!("{place}.reached"));
    std::fs::read_to_string(reached).map_or(0, |text| text.lines().count())
}

#[test]
fn a_run_that_panics_the_server_fails_alone_and_the_server_starts_with_it() {
    let mut ledger = Ledger::new("a workflow over which the server panics");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let server = stack.server_process().pid();

    stack.arm("run.decide@decided", "every panic");
    let begun = Instant::now();
    let run = start(
        &stack,
        "decided",
        &named(&Scene::one(60_000), &witness, "decided"),
    );
    failed(&mut ledger, "when it is decided", &stack, &run, "");
    let tries = panics(&stack, "run.decide@decided");
    assert_eq!(tries, 3);
    // Two seconds after the first, four after the second: whatever asks for the run meanwhile.
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());

    let run = start(&stack, "loaded", &named(&Scene::one(60_000), &witness, "loaded"));
    witness.wait_for_prefix(&format!("start {run}"));
    let scene = Scene::one(2_000);
    let other = scene.start(&mut stack, &witness, "other", |_| ());
    witness.wait_for_prefix(&format!("start {other}"));
    assert_eq!(stack.server_process().pid(), server, "no panic ended the server");
    stack.arm("run.load@loaded", "every panic");
    for _ in 0..2 {
        stack.server_process().kill9();
        stack.start_server();
    }
    failed(
        &mut ledger,
        "when it is loaded",
        &stack,
        &run,
        "the server started with it each time",
    );
    drop(stack.finished(&other));
    let judged = scene.judge(&stack, &witness, &other);
    assert!(judged.wrong.is_empty(), "{:#?}\n{}", judged.wrong, stack.said());
    ledger.add("another run meanwhile", judged.row);
    // It is over, so nothing loads it any more.
    let before = panics(&stack, "run.load@loaded");
    stack.server_process().kill9();
    stack.start_server();
    stack.connected("one");
    assert_eq!(panics(&stack, "run.load@loaded"), before);

    stack.arm("page.run@scene", "every panic");
    let page = http::request(
        stack.address(),
        "GET",
        &format!("/runs/{other}"),
        &[("accept", "text/html")],
        b"",
    );
    let page = page.unwrap();
    assert_eq!(page.status, 500);
    assert!(page.body.contains("This page cannot be shown"), "{}", page.body);
    stack.disarm("page.run@scene");
    let page = http::request(
        stack.address(),
        "GET",
        &format!("/runs/{other}"),
        &[("accept", "text/html")],
        b"",
    );
    assert_eq!(page.unwrap().status, 200);
    ledger.add(
        "when its page is made",
        Row {
            figure: "500 and the reason, then 200".to_owned(),
            ..Row::default()
        },
    );
}

/// An alert that starts two workflows, one of which cannot be begun: the alert is taken, and the other runs.
#[test]
fn a_workflow_that_cannot_be_begun_keeps_neither_the_alert_nor_the_others_back() {
    let mut ledger = Ledger::new("an alert for a workflow over which the server panics");
    let witness = Witness::start();
    let stack = Stack::with_agent();
    let scene = Scene::two();
    for name in ["sick", "well"] {
        let text = named(&scene, &witness, name).replacen('\n', "\non: { alert: {} }\n", 1);
        let output = stack.cli(&["put", &stack.file(&format!("{name}.yaml"), &text)]);
        assert!(output.status.success(), "{output:?}");
    }
    stack.arm("run.prepare@sick", "every panic");
    let body = json!({"id": "al-1", "title": "down", "severity": "critical", "source": "test"});
    let answer = http::post_json(stack.address(), "/webhook/incident-response", &body);
    assert_eq!(answer.status, 202, "{}\n{}", answer.body, stack.said());
    let answer = answer.json();
    let runs: Vec<&str> = answer["run_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    assert_eq!(runs.len(), 2, "{answer:#}");
    for run in runs {
        let view = stack.finished(run);
        if view["workflow"] == "sick" {
            failed(
                &mut ledger,
                "when it is begun",
                &stack,
                run,
                "202, and its run failed",
            );
        } else {
            let judged = scene.judge(&stack, &witness, run);
            assert!(judged.wrong.is_empty(), "{:#?}", judged.wrong);
            assert_eq!(judged.row.starts, 2);
            ledger.add("the other workflow of the alert", judged.row);
        }
    }
}

/// A slot that was taken for an offer is free again after a panic.
#[test]
fn a_panic_while_offering_takes_no_slot_from_others() {
    let mut ledger = Ledger::new("a workflow over which the server panics as it offers a step");
    let witness = Witness::start();
    let mut stack = Stack::server();
    stack.agent("one", &["--capacity", "1"], &[]);
    stack.arm("run.offer@sick", "every panic");
    let scene = Scene::one(100);
    let text = named(&scene, &witness, "sick").replacen('\n', "\non: { alert: {} }\n", 1);
    let output = stack.cli(&["put", &stack.file("sick.yaml", &text)]);
    assert!(output.status.success(), "{output:?}");
    let body = json!({"id": "al-1", "title": "down", "severity": "critical", "source": "test"});
    let answer = http::post_json(stack.address(), "/webhook/incident-response", &body);
    assert_eq!(answer.status, 202, "{}\n{}", answer.body, stack.said());
    let answer = answer.json();
    let run = answer["run_ids"][0].as_str().unwrap();
    failed(
        &mut ledger,
        "when it is offered",
        &stack,
        run,
        "202, and its run failed",
    );
    assert_eq!(panics(&stack, "run.offer@sick"), 1);
    let file = stack.file("by-hand.yaml", &named(&scene, &witness, "sick"));
    let refused = stack.cli(&["run", &file]);
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(panics(&stack, "run.offer@sick"), 2);
    let run = scene.start(&mut stack, &witness, "other", |_| ());
    scene.went_through(
        &mut ledger,
        "another on the only slot",
        (&stack, &witness, &run),
        String::new(),
    );
    cleaned(&stack);
}
