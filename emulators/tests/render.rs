//! The terminal rendering of a room.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use emulators::slack::render;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

/// The lines, with the clock times made equal.
fn lines(slack: &Slack, width: usize) -> Vec<String> {
    let timeless = |line: String| {
        let mut parts: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for part in &mut parts {
            if part.len() == 8 && part.chars().filter(|c| *c == ':').count() == 2 {
                *part = "HH:MM:SS".to_owned();
            }
        }
        parts.join(" ")
    };
    render(&slack.channel("inc-1"), width)
        .into_iter()
        .map(timeless)
        .collect()
}

#[tokio::test]
async fn a_room_reads_as_a_responder_sees_it() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    slack
        .done(
            "conversations.setTopic",
            json!({ "channel": room, "topic": "SEV1 &amp; rising" }),
        )
        .await;
    slack
        .done(
            "conversations.invite",
            json!({ "channel": room, "users": "U08MARIALO1" }),
        )
        .await;
    let blocks = json!([
        { "type": "header", "text": { "type": "plain_text", "text": "Checkout is <down>" } },
        { "type": "section", "text": { "type": "mrkdwn", "text": "a &lt; b <@U08MARIALO1> <https://d.example|dash>" } },
        { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*Rate* 7%" }] },
        { "type": "context", "elements": [{ "type": "mrkdwn", "text": "Datadog" }] },
        { "type": "actions", "elements": [{ "type": "button", "text": { "type": "plain_text", "text": "Ack" } }] },
    ]);
    let card = slack
        .done(
            "chat.postMessage",
            json!({ "channel": room, "text": "x", "blocks": blocks }),
        )
        .await;
    slack
        .done("pins.add", json!({ "channel": room, "timestamp": card["ts"] }))
        .await;
    let reply = json!({ "channel": room, "text": "one\ntwo", "thread_ts": card["ts"] });
    slack.done("chat.postMessage", reply).await;
    assert_eq!(
        lines(&slack, 72),
        [
            "#inc-1",
            "  topic: SEV1 & rising",
            "  members: Firehall, maria (2)",
            "",
            "HH:MM:SS  Firehall",
            "  @Firehall has joined the channel",
            "",
            "HH:MM:SS  Firehall",
            "  @Firehall set the channel topic: SEV1 & rising",
            "",
            "HH:MM:SS  maria",
            "  @maria has joined the channel",
            "",
            "HH:MM:SS  Firehall [pinned]",
            "  ## Checkout is <down>",
            "  a < b @maria dash (https://d.example)",
            "  - *Rate* 7%",
            "  ~ Datadog",
            "  [ Ack ]",
            "  | HH:MM:SS  Firehall",
            "  |   one",
            "  |   two",
        ]
    );
}

#[tokio::test]
async fn nothing_steers_the_terminal_and_lines_fit() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let hostile = format!(
        "\u{1b}[2J\u{1b}]0;x\u{7} \u{9b}31m \u{202e}back \r over {} 火事 {}",
        "w".repeat(90),
        "火".repeat(40)
    );
    slack.say(&room, &hostile).await;
    slack
        .done(
            "conversations.setTopic",
            json!({ "channel": room, "topic": "\u{1b}[31mred" }),
        )
        .await;
    for width in [20, 40, 100] {
        for line in lines(&slack, width) {
            assert!(line.width() <= width, "{width}: {line}");
            assert!(
                !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{line:?}"
            );
        }
    }
}
