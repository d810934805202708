//! Rate limits over HTTP.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::Slack;
use emulators::slack::Config;
use serde_json::json;

#[tokio::test]
async fn a_channel_takes_a_burst_and_then_one_a_second() {
    let slack = Slack::start(Config::demo()).await;
    let (one, two) = (slack.room("inc-1").await, slack.room("inc-2").await);
    let body = json!({ "channel": one, "text": "x" });
    let (mut taken, mut limited) = (0, None);
    for _ in 0..40 {
        let reply = slack.reply("chat.postMessage", body.clone()).await;
        if reply.status == 429 {
            limited = Some(reply);
            break;
        }
        assert_eq!(reply.json()["ok"], true);
        taken += 1;
    }
    let limited = limited.expect("the burst has an end");
    assert!((10..=20).contains(&taken), "{taken} taken at once");
    assert_eq!(limited.header("retry-after"), "1");
    assert_eq!(limited.json(), json!({ "ok": false, "error": "ratelimited" }));
    assert_eq!(slack.said("inc-1").len(), taken, "the refused post had no effect");

    slack
        .done(
            "chat.postMessage",
            json!({ "channel": two, "text": "another channel" }),
        )
        .await;
    slack
        .done(
            "conversations.setTopic",
            json!({ "channel": one, "topic": "another method" }),
        )
        .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    slack.done("chat.postMessage", body).await;
}

#[tokio::test]
async fn a_tier_is_per_method_and_a_name_is_no_way_around() {
    let slack = Slack::start(Config::demo()).await;
    let mut last = None;
    for _ in 0..40 {
        let request = slack
            .http
            .get(slack.url("/api/pins.list"))
            .bearer_auth(&slack.token);
        let reply = slack.send(request.query(&[("channel", "C0")])).await;
        if reply.status == 429 {
            last = Some(reply);
            break;
        }
    }
    let wait: u64 = last
        .expect("tier 2 has an end")
        .header("retry-after")
        .parse()
        .unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(slack.get("users.list", &[("limit", "5")]).await["ok"], true);

    let room = slack.room("inc-1").await;
    let mut statuses = Vec::new();
    for n in 0..30 {
        let channel = if n % 2 == 0 { room.as_str() } else { "#inc-1" };
        statuses.push(
            slack
                .reply("chat.postMessage", json!({ "channel": channel, "text": "x" }))
                .await
                .status,
        );
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn limits_can_be_turned_off() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    for _ in 0..60 {
        slack.say(&room, "x").await;
    }
}
