//! Channels: creating, finding, joining, naming, archiving.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Slack, ids};
use serde_json::{Value, json};

#[tokio::test]
async fn names_are_checked_and_never_repaired() {
    let slack = Slack::demo().await;
    let long = "x".repeat(81);
    for (name, code) in [
        ("", "invalid_name_required"),
        ("Inc-1", "invalid_name_specials"),
        ("inc 1", "invalid_name_specials"),
        ("---", "invalid_name_punctuation"),
        (long.as_str(), "invalid_name_maxlength"),
        ("general", "name_taken"),
        ("leads", "name_taken"),
    ] {
        slack
            .fails("conversations.create", json!({ "name": name }), code)
            .await;
    }
    let made = slack
        .done("conversations.create", json!({ "name": "inc-1_a" }))
        .await;
    assert_eq!(made["channel"]["creator"], "U08FIREHALL");
    assert_eq!(made["channel"]["is_member"], true);
    assert_eq!(slack.channel("inc-1_a")["members"], json!(["U08FIREHALL"]));
}

#[tokio::test]
async fn an_archived_channel_keeps_its_name() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    slack
        .done("conversations.archive", json!({ "channel": room }))
        .await;
    slack
        .fails(
            "conversations.archive",
            json!({ "channel": room }),
            "already_archived",
        )
        .await;
    slack
        .fails("conversations.create", json!({ "name": "inc-1" }), "name_taken")
        .await;
    slack
        .fails(
            "conversations.rename",
            json!({ "channel": room, "name": "inc-1-old" }),
            "is_archived",
        )
        .await;
    slack
        .fails(
            "conversations.setTopic",
            json!({ "channel": room, "topic": "x" }),
            "is_archived",
        )
        .await;
    slack
        .fails(
            "chat.postMessage",
            json!({ "channel": room, "text": "x" }),
            "is_archived",
        )
        .await;
    slack
        .done("conversations.unarchive", json!({ "channel": room }))
        .await;
    slack
        .fails(
            "conversations.unarchive",
            json!({ "channel": room }),
            "not_archived",
        )
        .await;
    slack
        .done(
            "conversations.rename",
            json!({ "channel": room, "name": "inc-1-old" }),
        )
        .await;
    slack
        .done("conversations.create", json!({ "name": "inc-1" }))
        .await;
    assert_eq!(slack.channel("inc-1-old")["previous_names"], json!(["inc-1"]));
}

#[tokio::test]
async fn the_list_has_types_pages_and_a_filter_that_makes_pages_short() {
    let slack = Slack::demo().await;
    let public = slack.get("conversations.list", &[]).await;
    let leads = slack.channel("leads")["id"].as_str().unwrap().to_owned();
    assert!(
        !ids(&public["channels"]).contains(&leads.as_str()),
        "a private channel we are not in is unseen"
    );
    let mut rooms = Vec::new();
    for n in 0..6 {
        rooms.push(slack.room(&format!("inc-{n}")).await);
    }
    for room in &rooms[..4] {
        slack
            .done("conversations.archive", json!({ "channel": room }))
            .await;
    }
    slack
        .done(
            "conversations.create",
            json!({ "name": "shut", "is_private": true }),
        )
        .await;
    let (mut found, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let query = [
            ("types", "public_channel,private_channel"),
            ("exclude_archived", "true"),
            ("limit", "2"),
            ("cursor", &cursor),
        ];
        let page = slack.get("conversations.list", &query).await;
        sizes.push(page["channels"].as_array().unwrap().len());
        let names = page["channels"].as_array().unwrap().iter();
        found.extend(names.map(|channel| channel["name"].as_str().unwrap().to_owned()));
        page["response_metadata"]["next_cursor"]
            .as_str()
            .unwrap()
            .clone_into(&mut cursor);
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(
        found,
        ["general", "incidents", "partner-acme", "inc-4", "inc-5", "shut"]
    );
    assert!(
        sizes[..sizes.len() - 1].contains(&0),
        "an empty page before the end: {sizes:?}"
    );
    assert_eq!(
        slack.get("conversations.list", &[("types", "all")]).await["error"],
        "invalid_types"
    );
}

#[tokio::test]
async fn private_channels_do_not_exist_for_outsiders() {
    let slack = Slack::demo().await;
    let leads = slack.channel("leads")["id"].as_str().unwrap().to_owned();
    for method in [
        "conversations.info",
        "conversations.members",
        "conversations.history",
    ] {
        let answer = slack.get(method, &[("channel", &leads)]).await;
        assert_eq!(answer["error"], "channel_not_found", "{method}");
    }
    slack
        .fails(
            "chat.postMessage",
            json!({ "channel": leads, "text": "x" }),
            "channel_not_found",
        )
        .await;
    slack
        .fails(
            "chat.postMessage",
            json!({ "channel": "#leads", "text": "x" }),
            "channel_not_found",
        )
        .await;
    slack
        .fails(
            "conversations.join",
            json!({ "channel": leads }),
            "channel_not_found",
        )
        .await;
}

#[tokio::test]
async fn joining_is_for_public_channels_and_twice_is_a_warning() {
    let slack = Slack::demo().await;
    let incidents = slack.channel("incidents")["id"].as_str().unwrap().to_owned();
    let history = slack
        .get("conversations.history", &[("channel", &incidents)])
        .await;
    assert_eq!(history["error"], "not_in_channel");
    slack
        .fails(
            "conversations.setTopic",
            json!({ "channel": incidents, "topic": "x" }),
            "not_in_channel",
        )
        .await;
    slack
        .done("conversations.join", json!({ "channel": incidents }))
        .await;
    let again = slack
        .done("conversations.join", json!({ "channel": incidents }))
        .await;
    assert_eq!(again["warning"], "already_in_channel");
    assert_eq!(
        slack.get("conversations.info", &[("channel", &incidents)]).await["channel"]["is_member"],
        true
    );
    let general = slack.channel("general")["id"].as_str().unwrap().to_owned();
    slack
        .fails(
            "conversations.archive",
            json!({ "channel": general }),
            "cant_archive_general",
        )
        .await;
}

#[tokio::test]
async fn topic_and_purpose_are_limited_and_leave_a_line() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    slack
        .fails(
            "conversations.setTopic",
            json!({ "channel": room, "topic": "x".repeat(251) }),
            "too_long",
        )
        .await;
    let topic = "é".repeat(250);
    slack
        .done(
            "conversations.setTopic",
            json!({ "channel": room, "topic": topic }),
        )
        .await;
    slack
        .done(
            "conversations.setPurpose",
            json!({ "channel": room, "purpose": "Fix it" }),
        )
        .await;
    let channel = slack.channel("inc-1");
    assert_eq!(
        (&channel["topic"]["value"], &channel["purpose"]["value"]),
        (&json!(topic), &json!("Fix it"))
    );
    let subtypes: Vec<&Value> = channel["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["subtype"])
        .collect();
    assert_eq!(subtypes, ["channel_join", "channel_topic", "channel_purpose"]);
}
