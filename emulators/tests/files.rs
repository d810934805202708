//! Files: the address, the bytes, and the call that shares them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use serde_json::{Value, json};

async fn address(slack: &Slack, length: &str) -> Value {
    let request = slack
        .http
        .post(slack.url("/api/files.getUploadURLExternal"))
        .bearer_auth(&slack.token)
        .form(&[("filename", "a.txt"), ("length", length)]);
    slack.send(request).await.json()
}

async fn put(slack: &Slack, address: &Value, bytes: &'static str) -> u16 {
    let request = slack
        .http
        .post(address["upload_url"].as_str().unwrap())
        .body(bytes);
    slack.send(request).await.status
}

#[tokio::test]
async fn a_file_is_shared_once_its_bytes_are_there() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let parent = slack.say(&room, "hello").await;
    let ticket = address(&slack, "3").await;
    let done =
        json!({"files": [{"id": ticket["file_id"], "title": "T"}], "channel_id": room, "thread_ts": parent});
    slack
        .fails("files.completeUploadExternal", done.clone(), "file_not_found")
        .await;
    assert_eq!(
        put(&slack, &ticket, "four").await,
        400,
        "another length than announced"
    );
    assert_eq!(put(&slack, &ticket, "abc").await, 200);
    let answer = slack.done("files.completeUploadExternal", done.clone()).await;
    assert_eq!(answer["files"][0]["title"], "T");
    slack
        .fails("files.completeUploadExternal", done, "file_not_found")
        .await;
    assert_eq!(put(&slack, &ticket, "abc").await, 404, "an address is used once");
    let thread = slack
        .get("conversations.replies", &[("channel", &room), ("ts", &parent)])
        .await;
    let file = &thread["messages"][1]["files"][0];
    assert_eq!((&file["name"], &file["size"]), (&json!("a.txt"), &json!(3)));
    assert_eq!(slack.said("inc-1")[0]["replies"][0]["files"][0]["content"], "abc");
}

#[tokio::test]
async fn files_are_refused_as_documented() {
    let slack = Slack::demo().await;
    assert_eq!(address(&slack, "0").await["error"], "missing_argument");
    let ticket = address(&slack, "3").await;
    let with_token = slack
        .http
        .post(ticket["upload_url"].as_str().unwrap())
        .bearer_auth(&slack.token)
        .body("abc");
    assert_eq!(slack.send(with_token).await.status, 400);
    assert_eq!(put(&slack, &ticket, "abc").await, 200);
    let to = |channel: &str| json!({"files": [{"id": ticket["file_id"]}], "channel_id": channel});
    slack
        .fails(
            "files.completeUploadExternal",
            to("C0NOWHERE1"),
            "channel_not_found",
        )
        .await;
    let general = slack.channel("general")["id"].as_str().unwrap().to_owned();
    slack
        .fails("files.completeUploadExternal", to(&general), "not_in_channel")
        .await;
    slack
        .fails("files.completeUploadExternal", json!({}), "invalid_arguments")
        .await;
    slack
        .done(
            "files.completeUploadExternal",
            json!({"files": [{"id": ticket["file_id"]}]}),
        )
        .await;
}
