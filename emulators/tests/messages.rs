//! Posting, updating, threads, permalinks and ephemeral messages.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use emulators::slack::Config;
use serde_json::json;

#[tokio::test]
async fn a_post_has_a_unique_growing_ts() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let mut all = Vec::new();
    for n in 0..50 {
        all.push(slack.say(&room, &format!("line {n}")).await);
    }
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
    let (seconds, micros) = all[0].split_once('.').unwrap();
    assert_eq!((seconds.len(), micros.len()), (10, 6));
}

#[tokio::test]
async fn a_post_needs_a_channel_and_something_to_say() {
    let slack = Slack::start(Config::demo().without_limits().without_scope("chat:write.public")).await;
    let room = slack.room("inc-1").await;
    slack
        .fails("chat.postMessage", json!({ "text": "x" }), "channel_not_found")
        .await;
    slack
        .fails(
            "chat.postMessage",
            json!({ "channel": "C0", "text": "x" }),
            "channel_not_found",
        )
        .await;
    slack
        .fails("chat.postMessage", json!({ "channel": room }), "no_text")
        .await;
    slack
        .fails(
            "chat.postMessage",
            json!({ "channel": room, "text": " " }),
            "no_text",
        )
        .await;
    slack
        .fails(
            "chat.postMessage",
            json!({ "channel": "general", "text": "x" }),
            "not_in_channel",
        )
        .await;
    let both = json!({ "channel": room, "text": "x", "markdown_text": "y" });
    slack
        .fails("chat.postMessage", both, "markdown_text_conflict")
        .await;
    slack
        .done(
            "chat.postMessage",
            json!({ "channel": "#inc-1", "text": "by name" }),
        )
        .await;
}

#[tokio::test]
async fn with_chat_write_public_no_membership_is_needed() {
    let slack = Slack::demo().await;
    let posted = slack
        .done(
            "chat.postMessage",
            json!({ "channel": "#incidents", "text": "news" }),
        )
        .await;
    assert_eq!(posted["message"]["bot_id"], "B08FIREHALL");
    assert_eq!(slack.said("incidents").len(), 1);
}

#[tokio::test]
async fn long_text_is_cut_with_a_warning() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let posted = slack
        .done(
            "chat.postMessage",
            json!({ "channel": room, "text": "é".repeat(40_001) }),
        )
        .await;
    assert_eq!(posted["warning"], "message_truncated");
    assert_eq!(
        posted["message"]["text"].as_str().unwrap().chars().count(),
        40_000
    );
}

#[tokio::test]
async fn replies_belong_to_the_parent_only() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let parent = slack.say(&room, "card").await;
    let reply = |ts: &str| json!({ "channel": room, "text": "finding", "thread_ts": ts });
    let first = slack.done("chat.postMessage", reply(&parent)).await;
    let loud = json!({ "channel": room, "text": "loud", "thread_ts": parent, "reply_broadcast": true });
    slack.done("chat.postMessage", loud).await;
    slack
        .fails(
            "chat.postMessage",
            reply(first["ts"].as_str().unwrap()),
            "cannot_reply_to_message",
        )
        .await;
    slack
        .fails("chat.postMessage", reply("1.000000"), "thread_not_found")
        .await;

    let thread = slack
        .get("conversations.replies", &[("channel", &room), ("ts", &parent)])
        .await;
    let texts: Vec<_> = thread["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["text"])
        .collect();
    assert_eq!(
        texts,
        ["card", "finding", "loud"],
        "parent first, then oldest first"
    );
    assert_eq!(thread["messages"][0]["reply_count"], 2);
    assert_eq!(thread["messages"][1]["thread_ts"], parent.as_str());
    let history = slack.get("conversations.history", &[("channel", &room)]).await;
    let texts: Vec<_> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["text"])
        .collect();
    assert_eq!(
        texts[..2],
        ["loud", "card"],
        "a quiet reply is in its thread only"
    );
}

#[tokio::test]
async fn metadata_is_checked_and_read_back_on_request() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let post = |metadata| json!({ "channel": room, "text": "x", "metadata": metadata });
    slack
        .fails("chat.postMessage", post(json!("{")), "invalid_metadata_format")
        .await;
    slack
        .fails("chat.postMessage", post(json!([])), "invalid_metadata_format")
        .await;
    slack
        .fails(
            "chat.postMessage",
            post(json!({ "event_type": "a" })),
            "invalid_metadata_schema",
        )
        .await;
    let extra = json!({ "event_type": "a", "event_payload": {}, "more": 1 });
    slack
        .fails("chat.postMessage", post(extra), "invalid_metadata_schema")
        .await;
    let big = json!({ "event_type": "a", "event_payload": { "x": "x".repeat(20_000) } });
    slack
        .fails("chat.postMessage", post(big), "metadata_too_large")
        .await;
    let good = json!({ "event_type": "card", "event_payload": { "step_id": "s1" } });
    slack.done("chat.postMessage", post(good.clone())).await;

    let plain = slack.get("conversations.history", &[("channel", &room)]).await;
    assert!(plain["messages"][0].get("metadata").is_none());
    let full = slack
        .get(
            "conversations.history",
            &[("channel", &room), ("include_all_metadata", "true")],
        )
        .await;
    assert_eq!(full["messages"][0]["metadata"], good);
}

#[tokio::test]
async fn an_update_keeps_metadata_and_has_a_smaller_limit() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let metadata = json!({ "event_type": "card", "event_payload": { "step_id": "s1" } });
    let body = json!({ "channel": room, "text": "one", "metadata": metadata });
    let ts = slack.done("chat.postMessage", body).await["ts"]
        .as_str()
        .unwrap()
        .to_owned();
    let update = |ts: &str, text: &str| json!({ "channel": room, "ts": ts, "text": text });
    slack
        .fails("chat.update", update(&ts, &"x".repeat(4001)), "msg_too_long")
        .await;
    slack
        .fails("chat.update", update("1.000000", "x"), "message_not_found")
        .await;
    slack
        .fails(
            "chat.update",
            json!({ "channel": "inc-1", "ts": ts, "text": "x" }),
            "channel_not_found",
        )
        .await;
    let done = slack.done("chat.update", update(&ts, "two")).await;
    assert_eq!((&done["text"], &done["ts"]), (&json!("two"), &json!(ts)));
    let message = slack.said("inc-1").remove(0);
    assert_eq!(
        (&message["text"], &message["metadata"]),
        (&json!("two"), &metadata)
    );
    assert!(message.get("edited").is_some());

    let theirs = json!({ "channel": "inc-1", "user": "U08DEVPATE1", "text": "mine" });
    let theirs = slack.control("messages", theirs).await.json();
    slack
        .fails(
            "chat.update",
            update(theirs["ts"].as_str().unwrap(), "x"),
            "cant_update_message",
        )
        .await;
}

#[tokio::test]
async fn history_has_bounds_and_pages_newest_first() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let mut all = Vec::new();
    for n in 0..7 {
        all.push(slack.say(&room, &n.to_string()).await);
    }
    let texts = async |query: &[(&str, &str)]| {
        let query: Vec<_> = [("channel", room.as_str())]
            .into_iter()
            .chain(query.iter().copied())
            .collect();
        let page = slack.get("conversations.history", &query).await;
        let found: String = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["text"].as_str().unwrap())
            .collect();
        (
            found,
            page["response_metadata"]["next_cursor"]
                .as_str()
                .map(str::to_owned),
        )
    };
    assert_eq!(texts(&[("oldest", &all[2]), ("latest", &all[5])]).await.0, "43");
    let inclusive = [
        ("oldest", all[2].as_str()),
        ("latest", &all[5]),
        ("inclusive", "true"),
    ];
    assert_eq!(texts(&inclusive).await.0, "5432");
    let (first, cursor) = texts(&[("oldest", &all[0]), ("limit", "4")]).await;
    assert_eq!(first, "6543");
    let (second, end) = texts(&[("oldest", &all[0]), ("limit", "4"), ("cursor", &cursor.unwrap())]).await;
    assert_eq!((second.as_str(), end), ("21", None));
    let wrong = slack
        .get(
            "conversations.history",
            &[("channel", &room), ("oldest", "yesterday")],
        )
        .await;
    assert_eq!(wrong["error"], "invalid_ts_oldest");
}

#[tokio::test]
async fn permalinks_lead_to_the_message() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let ts = slack.say(&room, "card").await;
    let link = slack
        .get("chat.getPermalink", &[("channel", &room), ("message_ts", &ts)])
        .await;
    let digits = ts.replace('.', "");
    assert_eq!(
        link["permalink"],
        format!("https://company.slack.com/archives/{room}/p{digits}")
    );
    let none = slack
        .get(
            "chat.getPermalink",
            &[("channel", &room), ("message_ts", "1.000000")],
        )
        .await;
    assert_eq!(none["error"], "message_not_found");
}

#[tokio::test]
async fn an_ephemeral_message_is_for_a_member_and_leaves_no_history() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let body = json!({ "channel": room, "user": "U08DEVPATE1", "text": "only you" });
    slack
        .fails("chat.postEphemeral", body.clone(), "user_not_in_channel")
        .await;
    slack
        .done(
            "conversations.invite",
            json!({ "channel": room, "users": "U08DEVPATE1" }),
        )
        .await;
    slack.done("chat.postEphemeral", body).await;
    assert!(slack.said("inc-1").is_empty());
    assert_eq!(slack.channel("inc-1")["ephemerals"][0]["text"], "only you");
}
