//! Whom a message notifies: nobody, when hostile text was escaped; everybody, when it was not.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use serde_json::{Value, json};

const HOSTILE: &str = "disk full <!channel> <!here> <!everyone> <@U08DEVPATE1> <!subteam^S08BACKEND1> \
    <https://evil.example|Runbook> @channel";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn mrkdwn(text: &str) -> Value {
    json!([{ "type": "section", "text": { "type": "mrkdwn", "text": text } }])
}

async fn notified(slack: &Slack, mut body: Value) -> Value {
    body["channel"] = json!("inc-1");
    slack.done("chat.postMessage", body).await;
    slack.said("inc-1").pop().unwrap()
}

async fn room() -> Slack {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    slack
        .done(
            "conversations.invite",
            json!({ "channel": room, "users": "U08MARIALO1,U08DATADOG1" }),
        )
        .await;
    slack
}

#[tokio::test]
async fn unescaped_text_notifies_everybody() {
    let slack = room().await;
    let all = json!(["!channel", "!here", "!everyone", "U08DEVPATE1", "S08BACKEND1"]);
    for body in [
        json!({ "text": HOSTILE }),
        json!({ "text": "x", "blocks": mrkdwn(HOSTILE) }),
    ] {
        let message = notified(&slack, body).await;
        assert_eq!(message["notified"], all);
        assert_eq!(
            message["links"],
            json!([{ "url": "https://evil.example", "label": "Runbook" }])
        );
        let people = message["notified_users"].as_array().unwrap();
        assert!(people.contains(&json!("U08PRIYARA1")), "everyone is everyone");
        assert!(!people.contains(&json!("U08DATADOG1")) && !people.contains(&json!("U08MARIALO2")));
    }
    let message = notified(&slack, json!({ "text": "<!here>" })).await;
    assert_eq!(
        message["notified_users"],
        json!(["U08MARIALO1"]),
        "the room's people, no bots"
    );
}

#[tokio::test]
async fn fences_fields_and_context_protect_nobody() {
    let slack = room().await;
    let fence = format!("```{HOSTILE}```");
    let field = json!({ "type": "mrkdwn", "text": "<!here>" });
    let bodies = [
        json!({ "text": fence }),
        json!({ "text": "`<!here>`" }),
        json!({ "text": "x", "blocks": [{ "type": "section", "fields": [field] }] }),
        json!({ "text": "x", "blocks": [{ "type": "context", "elements": [field] }] }),
        json!({ "text": "x", "attachments": [{ "text": "<!here>" }] }),
        json!({ "text": "x", "blocks": [{ "type": "rich_text", "elements": [
            { "type": "rich_text_section", "elements": [{ "type": "broadcast", "range": "here" }] }] }] }),
    ];
    for body in bodies {
        let message = notified(&slack, body.clone()).await;
        assert!(
            message["notified"].as_array().unwrap().contains(&json!("!here")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn escaped_text_and_plain_text_notify_nobody() {
    let slack = room().await;
    let plain = json!({ "type": "plain_text", "text": HOSTILE });
    let bodies = [
        json!({ "text": escape(HOSTILE) }),
        json!({ "text": "x", "blocks": mrkdwn(&escape(HOSTILE)) }),
        json!({ "text": "x", "blocks": [{ "type": "header", "text": plain }] }),
        json!({ "text": "x", "blocks": [{ "type": "section", "text": plain }] }),
        json!({ "text": "x", "blocks": [{ "type": "rich_text", "elements": [
            { "type": "rich_text_section", "elements": [{ "type": "text", "text": HOSTILE }] }] }] }),
        json!({ "text": "<@UNOBODY> <@U08MARIALO2> <!subteam^S0>" }),
    ];
    for body in bodies {
        let message = notified(&slack, body.clone()).await;
        assert_eq!(message["notified"], json!([]), "{body}");
        assert_eq!(message["notified_users"], json!([]), "{body}");
        assert_eq!(message["links"], json!([]), "{body}");
    }
}

#[tokio::test]
async fn bare_names_count_only_when_linked() {
    let slack = room().await;
    let text = "hey @here, and @backend-team!";
    assert_eq!(
        notified(&slack, json!({ "text": text })).await["notified"],
        json!([])
    );
    for extra in [json!({ "link_names": true }), json!({ "parse": "full" })] {
        let mut body = json!({ "text": text });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        assert_eq!(
            notified(&slack, body).await["notified"],
            json!(["!here", "S08BACKEND1"])
        );
    }
}

#[tokio::test]
async fn an_update_is_parsed_anew() {
    let slack = room().await;
    let message = notified(&slack, json!({ "text": "<!here>" })).await;
    let channel = slack.channel("inc-1")["id"].clone();
    slack
        .done(
            "chat.update",
            json!({ "channel": channel, "ts": message["ts"], "text": "calm" }),
        )
        .await;
    assert_eq!(slack.said("inc-1")[0]["notified"], json!([]));
}
