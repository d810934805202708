//! A workflow that ends the server's whole process, as a stack that overflows or an abort in a library does: after a few
//! deaths its run fails, and nobody else's.

use std::time::{Duration, Instant};

use e2e::{
    Stack, Witness, http,
    ledger::{Ledger, Row},
    scene::Scene,
    stack::PATIENCE,
    wait,
};
use serde_json::json;

use super::poison::{failed, named, start};

/// How long a server that lives on is given to die: longer than an agent waits at most before it comes again (5 s), for a run that
/// is out is decided only then.
const ALIVE: Duration = Duration::from_secs(10);

/// Starts the server again each time that it has died, as systemd does, until it lives on; answers how often it died.
fn until_it_lives(stack: &mut Stack) -> usize {
    let mut deaths = 0;
    let mut since = Instant::now();
    wait::until("the server to live on", PATIENCE * 2, || {
        if stack.server_process().ended().is_some() {
            deaths += 1;
            stack.spawn_server();
            since = Instant::now();
        }
        let answers = http::request(stack.address(), "GET", "/healthz", &[], b"").is_ok();
        (answers && since.elapsed() > ALIVE).then_some(())
    });
    deaths
}

/// `place` is where the server dies over the run, each time; another run that is alive goes through.
fn ends_the_server(place: &str, fault: &str) {
    let mut ledger = Ledger::new("a workflow that ends the server's process");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let run = start(&stack, "deadly", &named(&Scene::one(60_000), &witness, "deadly"));
    witness.wait_for_prefix(&format!("start {run}"));
    let scene = Scene::one(2_000);
    let other = scene.start(&mut stack, &witness, "other", |_| ());
    witness.wait_for_prefix(&format!("start {other}"));

    stack.arm(&format!("{place}@deadly"), "every kill");
    stack.server_process().kill9();
    stack.spawn_server();
    let deaths = until_it_lives(&mut stack);
    assert_eq!(deaths, 3, "{}", stack.said());
    stack.connected("one");
    failed(
        &mut ledger,
        fault,
        &stack,
        &run,
        &format!("{deaths} deaths, then it lives"),
    );
    drop(stack.finished(&other));
    let judged = scene.judge(&stack, &witness, &other);
    assert!(judged.wrong.is_empty(), "{:#?}\n{}", judged.wrong, stack.said());
    ledger.add("another run meanwhile", judged.row);

    // Whoever looks at it does not end the server either, and neither does a further start.
    drop(stack.cli(&["show", &run]));
    stack.server_process().kill9();
    stack.start_server();
    drop(stack.cli(&["show", &run]));
    assert!(stack.server_process().ended().is_none(), "{}", stack.said());
    ledger.add("looked at afterwards", Row::default());
}

#[test]
fn a_run_that_ends_the_process_as_it_is_loaded_fails_after_three_deaths() {
    ends_the_server("run.load", "when it is loaded");
}

#[test]
fn a_run_that_ends_the_process_as_it_is_decided_fails_after_three_deaths() {
    ends_the_server("run.decide", "when it is decided");
}

/// An alert that comes again and again, as senders do that get no answer.
#[test]
fn a_definition_that_ends_the_process_as_it_is_begun_is_not_begun_after_three_deaths() {
    let mut ledger = Ledger::new("an alert for a workflow that ends the server's process");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let text = named(&Scene::one(100), &witness, "deadly").replacen('\n', "\non: { alert: {} }\n", 1);
    let output = stack.cli(&["put", &stack.file("deadly.yaml", &text)]);
    assert!(output.status.success(), "{output:?}");
    stack.arm("run.prepare@deadly", "every kill");
    let body = json!({"id": "al-1", "title": "down", "severity": "critical", "source": "test"});
    let mut deaths = 0;
    let answer = wait::until("the alert to be taken", PATIENCE, || {
        let answer = http::try_post_json(stack.address(), "/webhook/incident-response", &body);
        if stack.server_process().ended().is_some() {
            deaths += 1;
            stack.start_server();
        }
        answer.ok().filter(|answer| answer.status == 202)
    });
    assert_eq!(deaths, 3, "{}", stack.said());
    let run = answer.json()["run_ids"][0].as_str().unwrap().to_owned();
    let said = stack.finished(&run)["reasons"].to_string();
    assert!(said.contains("has ended this server's process 3 times"), "{said}");
    failed(
        &mut ledger,
        "when it is begun",
        &stack,
        &run,
        "3 deaths, then 202",
    );

    // A person is told as well, and another version of the definition is another matter.
    let alert = stack.file("alert.json", &body.to_string());
    let refused = stack.cli(&["run", "deadly", "--payload", &alert]);
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.contains("change the definition"), "{refused}");
    stack.disarm("run.prepare@deadly");
    let output = stack.cli(&["put", &stack.file("deadly.yaml", &format!("{text}\n# mended\n"))]);
    assert!(output.status.success(), "{output:?}");
    let output = stack.cli(&["run", "deadly", "--payload", &alert]);
    assert!(output.status.success(), "{output:?}");
}
