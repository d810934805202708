//! Tokens, scopes, encodings and unknown methods.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use emulators::slack::Config;
use serde_json::json;

#[tokio::test]
async fn the_token_is_checked_and_says_who_we_are() {
    let slack = Slack::demo().await;
    let me = slack.done("auth.test", json!({})).await;
    assert_eq!(me["user_id"], "U08FIREHALL");
    assert_eq!(me["bot_id"], "B08FIREHALL");
    assert_eq!(me["team_id"], "T08COMPANY1");

    let url = slack.url("/api/auth.test");
    let none = slack.send(slack.http.post(&url)).await;
    assert_eq!((none.status, &none.json()["error"]), (200, &json!("not_authed")));
    let wrong = slack.send(slack.http.post(&url).bearer_auth("xoxb-other")).await;
    assert_eq!(wrong.json()["error"], "invalid_auth");
    let basic = slack
        .send(slack.http.post(&url).header("authorization", &slack.token))
        .await;
    assert_eq!(
        basic.json()["error"],
        "invalid_auth",
        "the token needs its Bearer"
    );
    let form = slack
        .send(slack.http.post(&url).form(&[("token", slack.token.as_str())]))
        .await;
    assert_eq!(form.json()["ok"], true);
    let query = slack
        .send(slack.http.get(&url).query(&[("token", slack.token.as_str())]))
        .await;
    assert_eq!(
        query.json()["error"],
        "not_authed",
        "a token in the query is none"
    );
}

#[tokio::test]
async fn granted_and_accepted_scopes_are_in_the_headers() {
    let slack = Slack::start(Config::demo().without_scope("pins:write")).await;
    let reply = slack.reply("conversations.create", json!({ "name": "a" })).await;
    assert_eq!(
        reply.header("x-accepted-oauth-scopes"),
        "channels:manage,groups:write"
    );
    let granted: Vec<&str> = reply.header("x-oauth-scopes").split(',').collect();
    assert!(
        granted.contains(&"chat:write") && !granted.contains(&"pins:write"),
        "{granted:?}"
    );
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let slack = Slack::start(
        Config::demo()
            .without_scope("chat:write")
            .without_scope("groups:write"),
    )
    .await;
    let answer = slack
        .fails(
            "chat.postMessage",
            json!({ "channel": "general", "text": "x" }),
            "missing_scope",
        )
        .await;
    assert_eq!(answer["needed"], "chat:write");
    assert!(answer["provided"].as_str().unwrap().contains("users:read"));

    slack
        .done("conversations.create", json!({ "name": "open" }))
        .await;
    let private = json!({ "name": "shut", "is_private": true });
    let answer = slack
        .fails("conversations.create", private, "missing_scope")
        .await;
    assert_eq!(answer["needed"], "groups:write");
}

#[tokio::test]
async fn a_private_channel_asks_for_the_scopes_of_groups() {
    let slack = Slack::start(
        Config::demo()
            .without_scope("groups:history")
            .without_scope("groups:read"),
    )
    .await;
    let made = slack
        .done(
            "conversations.create",
            json!({ "name": "shut", "is_private": true }),
        )
        .await;
    let id = made["channel"]["id"].as_str().unwrap();
    let history = slack.get("conversations.history", &[("channel", id)]).await;
    assert_eq!(
        (&history["error"], &history["needed"]),
        (&json!("missing_scope"), &json!("groups:history"))
    );
    let list = slack
        .get(
            "conversations.list",
            &[("types", "public_channel,private_channel")],
        )
        .await;
    assert_eq!(list["needed"], "groups:read");
    assert_eq!(slack.get("conversations.list", &[]).await["ok"], true);
}

#[tokio::test]
async fn another_name_for_the_bot_needs_its_own_scope() {
    let slack = Slack::demo().await;
    let room = slack.room("a").await;
    let body = json!({ "channel": room, "text": "x", "username": "Someone" });
    let answer = slack.fails("chat.postMessage", body, "missing_scope").await;
    assert_eq!(answer["needed"], "chat:write.customize");
}

#[tokio::test]
async fn unknown_methods_are_told_so_without_a_token() {
    let slack = Slack::demo().await;
    let reply = slack.send(slack.http.get(slack.url("/api/chat.shout"))).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]),
        (200, &json!("unknown_method"))
    );
}

#[tokio::test]
async fn read_methods_take_no_json() {
    let slack = Slack::demo().await;
    for method in [
        "users.list",
        "users.lookupByEmail",
        "conversations.list",
        "conversations.members",
    ] {
        slack
            .fails(method, json!({ "limit": 5 }), "invalid_post_type")
            .await;
    }
    let url = slack.url("/api/users.list");
    let form = slack
        .http
        .post(&url)
        .bearer_auth(&slack.token)
        .form(&[("limit", "5")]);
    assert_eq!(slack.send(form).await.json()["ok"], true);
}

#[tokio::test]
async fn json_needs_its_content_type_and_must_be_an_object() {
    let slack = Slack::demo().await;
    let send = async |kind: Option<&str>, body: &'static str| {
        let mut request = slack
            .http
            .post(slack.url("/api/conversations.create"))
            .bearer_auth(&slack.token);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        slack.send(request.body(body)).await.json()
    };
    assert_eq!(send(None, "{}").await["error"], "missing_post_type");
    assert_eq!(send(Some("text/plain"), "{}").await["error"], "invalid_post_type");
    assert_eq!(send(Some("application/json"), "{").await["error"], "invalid_json");
    assert_eq!(
        send(Some("application/json"), "[]").await["error"],
        "json_not_object"
    );
    let form = send(
        Some("application/x-www-form-urlencoded"),
        "name=by-form&is_private=1",
    )
    .await;
    assert_eq!(form["channel"]["is_private"], true);
    let bare = send(Some("application/json"), r#"{"name":"no-charset"}"#).await;
    assert_eq!(
        (&bare["ok"], &bare["warning"]),
        (&json!(true), &json!("missing_charset"))
    );
    assert_eq!(bare["response_metadata"]["warnings"], json!(["missing_charset"]));
}
