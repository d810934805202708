//! Block Kit's limits, at and one past each.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use serde_json::{Value, json};

fn section(chars: usize) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": "x".repeat(chars) } })
}

fn plain(chars: usize) -> Value {
    json!({ "type": "plain_text", "text": "x".repeat(chars) })
}

fn field(chars: usize) -> Value {
    json!({ "type": "mrkdwn", "text": "x".repeat(chars) })
}

#[tokio::test]
async fn what_is_within_the_limits_is_taken() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let good = [
        json!([section(3000)]),
        json!([{ "type": "header", "text": plain(150) }]),
        json!([{ "type": "section", "fields": vec![field(1000); 10] }]),
        json!([{ "type": "section", "fields": [field(2000)] }]),
        json!([{ "type": "context", "elements": vec![field(10); 10] }]),
        Value::Array(vec![json!({ "type": "divider" }); 50]),
        Value::Array(vec![section(2640); 5]),
        json!([{ "type": "actions", "elements": [
            { "type": "button", "text": plain(75), "value": "v".repeat(2000), "url": "https://company.com/x" }] }]),
    ];
    for blocks in good {
        slack
            .done("chat.postMessage", json!({ "channel": room, "blocks": blocks }))
            .await;
    }
    let text = json!([section(5)]).to_string();
    slack
        .done("chat.postMessage", json!({ "channel": room, "blocks": text }))
        .await;
}

#[tokio::test]
async fn what_is_past_a_limit_is_refused_and_named() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let bad = [
        (json!([section(3001)]), "/blocks/0/text/text"),
        (json!([section(0)]), "/blocks/0/text/text"),
        (
            json!([{ "type": "header", "text": plain(151) }]),
            "/blocks/0/text/text",
        ),
        (
            json!([{ "type": "header", "text": field(5) }]),
            "/blocks/0/text/type",
        ),
        (
            json!([{ "type": "section", "fields": vec![field(1); 11] }]),
            "/blocks/0/fields",
        ),
        (
            json!([section(1), { "type": "section", "fields": [field(2001)] }]),
            "/blocks/1/fields/0/text",
        ),
        (
            json!([{ "type": "context", "elements": vec![field(1); 11] }]),
            "/blocks/0/elements",
        ),
        (Value::Array(vec![json!({ "type": "divider" }); 51]), "/blocks"),
        (json!([{ "type": "section" }]), "/blocks/0"),
        (json!([{ "type": "shout" }]), "/blocks/0/type"),
        (
            json!([{ "type": "actions", "elements": [{ "type": "button", "text": plain(76) }] }]),
            "/blocks/0/elements/0/text/text",
        ),
        (
            json!([{ "type": "divider", "block_id": "a" }, { "type": "divider", "block_id": "a" }]),
            "/blocks/1/block_id",
        ),
    ];
    for (blocks, place) in bad {
        let body = json!({ "channel": room, "text": "x", "blocks": blocks });
        let answer = slack.fails("chat.postMessage", body, "invalid_blocks").await;
        let said = answer["response_metadata"]["messages"][0].as_str().unwrap();
        assert!(
            said.starts_with("[ERROR]") && said.contains(&format!("[json-pointer:{place}]")),
            "{said}"
        );
    }
    for blocks in [json!("{"), json!({ "type": "section" }), json!("text")] {
        let body = json!({ "channel": room, "text": "x", "blocks": blocks });
        slack
            .fails("chat.postMessage", body, "invalid_blocks_format")
            .await;
    }
    assert!(slack.said("inc-1").is_empty(), "nothing of it was posted");
}

#[tokio::test]
async fn the_sum_has_its_own_hidden_limit() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let mut blocks = vec![section(2640); 5];
    blocks.push(section(1));
    slack
        .fails(
            "chat.postMessage",
            json!({ "channel": room, "blocks": blocks }),
            "msg_blocks_too_long",
        )
        .await;
}
