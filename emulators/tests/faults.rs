//! Each kind of fault, and the way back from an ambiguous one.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::Slack;
use emulators::slack::{Config, Fault, FaultKind};
use serde_json::{Value, json};

fn post(step: &str) -> Value {
    json!({
        "channel": "inc-1",
        "text": "card",
        "metadata": { "event_type": "step", "event_payload": { "step_id": step } },
    })
}

async fn room(slack: &Slack) -> String {
    slack.room("inc-1").await
}

#[tokio::test]
async fn rate_limited() {
    let slack = Slack::demo().await;
    room(&slack).await;
    slack.inject("chat.postMessage", FaultKind::RateLimited { retry_after: 7 });
    let reply = slack.reply("chat.postMessage", post("s1")).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "7"));
    assert!(slack.said("inc-1").is_empty());
    slack.done("chat.postMessage", post("s1")).await;
}

#[tokio::test]
async fn http_status() {
    let slack = Slack::demo().await;
    room(&slack).await;
    slack.inject("chat.postMessage", FaultKind::Http { status: 503 });
    assert_eq!(slack.reply("chat.postMessage", post("s1")).await.status, 503);
    assert!(slack.said("inc-1").is_empty());
}

#[tokio::test]
async fn slow_but_done() {
    let slack = Slack::demo().await;
    room(&slack).await;
    slack.inject("chat.postMessage", FaultKind::Slow { ms: 400 });
    let begun = Instant::now();
    slack.done("chat.postMessage", post("s1")).await;
    assert!(begun.elapsed() >= Duration::from_millis(400));

    slack.inject("chat.postMessage", FaultKind::Slow { ms: 10_000 });
    let hasty = slack
        .request("chat.postMessage", &post("s2"))
        .timeout(Duration::from_secs(3));
    assert!(hasty.send().await.unwrap_err().is_timeout());
    assert_eq!(slack.said("inc-1").len(), 2, "the post that timed out was taken");
}

#[tokio::test]
async fn accepted_then_dropped_can_be_read_back_by_metadata() {
    let slack = Slack::demo().await;
    let id = room(&slack).await;
    slack.inject("chat.postMessage", FaultKind::AcceptedThenDropped);
    let error = slack
        .request("chat.postMessage", &post("s1"))
        .send()
        .await
        .unwrap_err();
    assert!(
        !error.is_timeout() && !error.is_connect(),
        "the connection closed: {error:?}"
    );

    let query = [("channel", id.as_str()), ("include_all_metadata", "true")];
    let history = slack.get("conversations.history", &query).await;
    let mine = history["messages"].as_array().unwrap().iter();
    let mine: Vec<_> = mine
        .filter(|one| one["metadata"]["event_payload"]["step_id"] == "s1")
        .cloned()
        .collect();
    assert_eq!(mine.len(), 1, "exactly one to adopt");
    assert_eq!(slack.said("inc-1").len(), 1);
}

#[tokio::test]
async fn a_create_that_was_dropped_shows_as_name_taken() {
    let slack = Slack::demo().await;
    slack.inject("conversations.create", FaultKind::AcceptedThenDropped);
    let body = json!({ "name": "inc-9" });
    assert!(slack.request("conversations.create", &body).send().await.is_err());
    slack.fails("conversations.create", body, "name_taken").await;
    assert_eq!(slack.channel("inc-9")["creator"], "U08FIREHALL");
}

#[tokio::test]
async fn dropped_without_effect() {
    let slack = Slack::demo().await;
    room(&slack).await;
    slack.inject("chat.postMessage", FaultKind::Drop);
    assert!(
        slack
            .request("chat.postMessage", &post("s1"))
            .send()
            .await
            .is_err()
    );
    assert!(slack.said("inc-1").is_empty());
    slack.done("chat.postMessage", post("s1")).await;
}

#[tokio::test]
async fn an_error_with_and_without_effect() {
    let slack = Slack::demo().await;
    room(&slack).await;
    slack.inject(
        "chat.postMessage",
        FaultKind::Error {
            code: "restricted_action".to_owned(),
            effect: false,
        },
    );
    slack
        .fails("chat.postMessage", post("s1"), "restricted_action")
        .await;
    assert!(slack.said("inc-1").is_empty());
    slack.inject(
        "chat.postMessage",
        FaultKind::Error {
            code: "fatal_error".to_owned(),
            effect: true,
        },
    );
    slack.fails("chat.postMessage", post("s1"), "fatal_error").await;
    assert_eq!(
        slack.said("inc-1").len(),
        1,
        "some aspect of the operation succeeded"
    );
    slack.inject(
        "chat.postMessage",
        FaultKind::Error {
            code: "missing_scope".to_owned(),
            effect: false,
        },
    );
    let answer = slack.fails("chat.postMessage", post("s1"), "missing_scope").await;
    assert_eq!(answer["needed"], "chat:write");
}

#[tokio::test]
async fn garbage() {
    let slack = Slack::demo().await;
    room(&slack).await;
    slack.inject("chat.postMessage", FaultKind::Garbage);
    let reply = slack.reply("chat.postMessage", post("s1")).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").starts_with("text/html") && reply.text.starts_with("<html>"));
    assert!(slack.said("inc-1").is_empty());
}

#[tokio::test]
async fn times_skip_any_method_and_forgetting() {
    let slack = Slack::demo().await;
    room(&slack).await;
    let kind = FaultKind::Http { status: 500 };
    let fault = Fault {
        times: 2,
        skip: 1,
        ..Fault::once("*", kind)
    };
    slack.emulator.handle().inject(fault).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(slack.reply("chat.postMessage", post("s1")).await.status);
    }
    assert_eq!(statuses, [200, 500, 500, 200]);
    slack.inject("auth.test", FaultKind::Garbage);
    slack
        .send(slack.http.delete(slack.url("/_emulator/faults")))
        .await;
    slack.done("auth.test", json!({})).await;
}

#[tokio::test]
async fn faults_are_injected_over_http_and_checked() {
    let slack = Slack::start(Config::demo()).await;
    let good = [
        json!({ "method": "chat.postMessage", "times": 3, "kind": "rate_limited", "retry_after": 2 }),
        json!({ "method": "*", "kind": "http", "status": 502 }),
        json!({ "method": "auth.test", "kind": "slow", "ms": 5 }),
        json!({ "method": "auth.test", "kind": "accepted_then_dropped" }),
        json!({ "method": "auth.test", "kind": "error", "code": "fatal_error", "effect": true }),
        json!({ "method": "auth.test", "kind": "drop" }),
        json!({ "method": "auth.test", "kind": "garbage" }),
    ];
    for fault in &good {
        let reply = slack.control("faults", fault.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let bad = [
        json!({ "method": "chat.shout", "kind": "drop" }),
        json!({ "method": "auth.test", "times": 0, "kind": "drop" }),
        json!({ "method": "auth.test", "kind": "http", "status": 200 }),
        json!({ "method": "auth.test", "kind": "slow" }),
        json!({ "method": "auth.test", "kind": "explode" }),
        json!({ "method": "auth.test" }),
    ];
    for fault in bad {
        let reply = slack.control("faults", fault.clone()).await;
        assert!((400..500).contains(&reply.status), "{fault}: {}", reply.text);
    }
    let waiting = slack
        .send(slack.http.get(slack.url("/_emulator/faults")))
        .await
        .json();
    assert_eq!(waiting["faults"].as_array().unwrap().len(), good.len());
    let reply = slack.reply("auth.test", json!({})).await;
    assert_eq!(reply.status, 502, "the first fault that fits");
}
