//! Invitations: batches, `force`, and the reason for each refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use emulators::slack::Config;
use serde_json::{Value, json};

fn reasons(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = answer["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| (text(&error["user"]), text(&error["error"])))
        .collect()
}

#[tokio::test]
async fn without_force_one_bad_id_refuses_everybody() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let body = json!({ "channel": room, "users": "U08DEVPATE1,UNOBODY,U08FIREHALL" });
    let answer = slack.fails("conversations.invite", body, "user_not_found").await;
    assert_eq!(
        reasons(&answer),
        [("UNOBODY", "user_not_found"), ("U08FIREHALL", "cant_invite_self")]
            .map(|(user, why)| (user.to_owned(), why.to_owned()))
    );
    assert_eq!(slack.channel("inc-1")["members"], json!(["U08FIREHALL"]));
}

#[tokio::test]
async fn with_force_the_valid_ones_come() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    slack
        .done(
            "conversations.invite",
            json!({ "channel": room, "users": "U08MARIALO1" }),
        )
        .await;
    let users = "U08MARIALO1,U08DEVPATE1,USLACKBOT,U08MARIALO2,U08NOAHPAR1,UNOBODY,U08FIREHALL";
    let answer = slack
        .done(
            "conversations.invite",
            json!({ "channel": room, "users": users, "force": true }),
        )
        .await;
    let why: Vec<String> = reasons(&answer).into_iter().map(|(_, why)| why).collect();
    assert_eq!(
        why,
        [
            "already_in_channel",
            "cant_invite",
            "cant_invite",
            "ura_max_channels",
            "user_not_found",
            "cant_invite_self"
        ]
    );
    assert_eq!(
        slack.channel("inc-1")["members"],
        json!(["U08FIREHALL", "U08MARIALO1", "U08DEVPATE1"])
    );
    let again = json!({ "channel": room, "users": "U08MARIALO1", "force": true });
    slack
        .fails("conversations.invite", again, "already_in_channel")
        .await;
}

#[tokio::test]
async fn the_room_must_be_open_and_ours() {
    let slack = Slack::demo().await;
    let incidents = slack.channel("incidents")["id"].as_str().unwrap().to_owned();
    let body = |channel: &str| json!({ "channel": channel, "users": "U08DEVPATE1" });
    slack
        .fails("conversations.invite", body(&incidents), "not_in_channel")
        .await;
    slack
        .fails("conversations.invite", body("C0"), "channel_not_found")
        .await;
    let room = slack.room("inc-1").await;
    slack
        .fails("conversations.invite", json!({ "channel": room }), "no_user")
        .await;
    slack
        .done("conversations.archive", json!({ "channel": room }))
        .await;
    slack
        .fails("conversations.invite", body(&room), "is_archived")
        .await;
}

#[tokio::test]
async fn a_hundred_at_a_time_and_members_in_pages() {
    let slack = Slack::start(Config::demo().without_limits().with_generated_users(101)).await;
    let room = slack.room("inc-1").await;
    let users: Vec<String> = (0..101).map(|n| format!("U09G{n:07}")).collect();
    let all = json!({ "channel": room, "users": users.join(","), "force": true });
    slack
        .fails("conversations.invite", all, "invalid_arguments")
        .await;
    slack
        .done(
            "conversations.invite",
            json!({ "channel": room, "users": users[..100].join(",") }),
        )
        .await;
    let (mut members, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = slack
            .get(
                "conversations.members",
                &[("channel", &room), ("limit", "30"), ("cursor", &cursor)],
            )
            .await;
        members.extend(page["members"].as_array().unwrap().clone());
        page["response_metadata"]["next_cursor"]
            .as_str()
            .unwrap()
            .clone_into(&mut cursor);
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(members.len(), 101, "the bot and a hundred people");
}
