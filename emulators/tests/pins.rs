//! Pins and bookmarks.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use serde_json::json;

#[tokio::test]
async fn a_message_is_pinned_once() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let ts = slack.say(&room, "card").await;
    let pin = |ts: &str| json!({ "channel": room, "timestamp": ts });
    slack
        .fails("pins.add", json!({ "channel": room }), "no_item_specified")
        .await;
    slack
        .fails("pins.add", pin("1.000000"), "message_not_found")
        .await;
    slack.done("pins.add", pin(&ts)).await;
    slack.fails("pins.add", pin(&ts), "already_pinned").await;
    let pins = slack.get("pins.list", &[("channel", &room)]).await;
    assert_eq!(pins["items"][0]["message"]["ts"], ts.as_str());
    assert_eq!(pins["items"].as_array().unwrap().len(), 1);
    assert_eq!(slack.said("inc-1")[0]["pinned"], true);
    for n in 1..100 {
        let ts = slack.say(&room, &n.to_string()).await;
        slack.done("pins.add", pin(&ts)).await;
    }
    let last = slack.say(&room, "one more").await;
    slack.fails("pins.add", pin(&last), "too_many_pins").await;
}

#[tokio::test]
async fn bookmarks_are_links_and_doubles_stay() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let mark =
        |kind: &str, link: &str| json!({ "channel_id": room, "title": "Run", "type": kind, "link": link });
    for link in ["", "javascript:alert(1)", "ftp://x", "https://"] {
        slack
            .fails("bookmarks.add", mark("link", link), "invalid_link")
            .await;
    }
    slack
        .fails(
            "bookmarks.add",
            mark("file", "https://x.example"),
            "invalid_bookmark_type",
        )
        .await;
    let mut other = mark("link", "https://x.example");
    other["channel_id"] = json!("C0");
    slack.fails("bookmarks.add", other, "channel_not_found").await;
    slack
        .done("bookmarks.add", mark("link", "https://x.example"))
        .await;
    slack
        .done("bookmarks.add", mark("link", "https://x.example"))
        .await;
    let all = slack.get("bookmarks.list", &[("channel_id", &room)]).await;
    assert_eq!(all["bookmarks"].as_array().unwrap().len(), 2);
    assert_ne!(all["bookmarks"][0]["id"], all["bookmarks"][1]["id"]);
}
