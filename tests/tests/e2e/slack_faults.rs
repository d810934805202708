//! Slack down, slow, limiting, without scope: said, never hidden, nothing twice.

use e2e::slack::Slack;
use emulators::slack::{Config, Fault, FaultKind};
use serde_json::json;

use crate::incident::{alert, messages, posted, ready, room, step};

#[test]
fn slack_down_fails_the_run_and_the_summary_still_says_so() {
    let slack = Slack::start();
    let stack = ready(&slack);
    slack
        .emulator()
        .handle()
        .inject(Fault {
            method: "*".to_owned(),
            times: 10_000,
            skip: 0,
            kind: FaultKind::Http { status: 503 },
        })
        .unwrap();
    let run = posted(&stack, &alert("slack is down"));
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed", "{view:#}");
    assert_eq!(step(&view, "create-war-room")["state"], "omitted");
    assert!(
        step(&view, "final-summary")["state"] == "succeeded"
            || step(&view, "final-summary")["state"] == "degraded",
        "{view:#}"
    );
    let findings = step(&view, "technical-investigation")["outputs"]["investigation"]["findings"].clone();
    assert!(
        !findings.as_array().unwrap().is_empty(),
        "the investigation does not need Slack: {view:#}"
    );
}

#[test]
fn limits_are_waited_for() {
    let slack = Slack::start();
    let stack = ready(&slack);
    for method in ["conversations.create", "chat.postMessage"] {
        slack
            .emulator()
            .handle()
            .inject(Fault::once(method, FaultKind::RateLimited { retry_after: 1 }))
            .unwrap();
    }
    let run = posted(&stack, &alert("limited"));
    let view = stack.finished(&run);
    assert_ne!(view["outcome"], "failed", "{view:#}");
    assert!(!messages(&room(&slack)).is_empty());
}

#[test]
fn an_accepted_then_dropped_post_is_made_once() {
    let slack = Slack::start();
    let stack = ready(&slack);
    for method in ["conversations.create", "chat.postMessage"] {
        slack
            .emulator()
            .handle()
            .inject(Fault::once(method, FaultKind::AcceptedThenDropped))
            .unwrap();
    }
    let run = posted(&stack, &alert("dropped"));
    let view = stack.finished(&run);
    assert_ne!(view["outcome"], "failed", "{view:#}");
    let room = room(&slack);
    let briefs = room["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m.to_string().contains("dropped") && m["metadata"].is_object())
        .count();
    assert_eq!(briefs, 1, "{room:#}");
}

#[test]
fn a_missing_optional_scope_degrades_and_names_it() {
    let slack = Slack::with(Config::demo().without_scope("pins:write"));
    let stack = ready(&slack);
    let run = posted(&stack, &alert("no pins"));
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "degraded", "{view:#}");
    assert!(
        view["reasons"].to_string().contains("pins:write"),
        "{}",
        view["reasons"]
    );
}

#[test]
fn a_workspace_that_forbids_channels_is_a_failure_with_its_reason() {
    let slack = Slack::start();
    let stack = ready(&slack);
    slack
        .emulator()
        .handle()
        .inject(Fault {
            method: "conversations.create".to_owned(),
            times: 100,
            skip: 0,
            kind: FaultKind::Error {
                code: "restricted_action".to_owned(),
                effect: false,
            },
        })
        .unwrap();
    let run = posted(&stack, &alert("forbidden"));
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed", "{view:#}");
    assert!(
        view["reasons"].to_string().contains("restricted_action"),
        "{}",
        view["reasons"]
    );
    assert_eq!(step(&view, "update-slack-thread")["state"], json!("omitted"));
}
