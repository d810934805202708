//! The control API: state, calls, other people's channels and words; and the end.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Slack;
use emulators::slack::{Config, FaultKind, serve};
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn calls_are_counted_with_their_ends_and_without_the_token() {
    let slack = Slack::demo().await;
    slack.room("inc-1").await;
    slack
        .fails("conversations.create", json!({ "name": "inc-1" }), "name_taken")
        .await;
    slack.inject("auth.test", FaultKind::Drop);
    assert!(slack.request("auth.test", &json!({})).send().await.is_err());
    let stray = format!("/api/{}", slack.token);
    slack
        .send(slack.http.post(slack.url(&stray)).bearer_auth(&slack.token))
        .await;
    let reply = slack.send(slack.http.get(slack.url("/_emulator/calls"))).await;
    assert!(!reply.text.contains(&slack.token), "{}", reply.text);
    let calls = reply.json();
    assert_eq!(
        calls["by_method"],
        json!({ "(unknown)": 1, "auth.test": 1, "conversations.create": 2 })
    );
    assert_eq!(calls["total"], 4);
    let list = calls["calls"].as_array().unwrap();
    assert_eq!((&list[0]["status"], &list[0]["ok"]), (&json!(200), &json!(true)));
    assert_eq!(
        (&list[1]["status"], &list[1]["error"]),
        (&json!(200), &json!("name_taken"))
    );
    assert_eq!(
        (&list[2]["status"], &list[2]["fault"]),
        (&json!(null), &json!("drop"))
    );
    assert!(
        list.windows(2)
            .all(|pair| pair[0]["at_ms"].as_u64() <= pair[1]["at_ms"].as_u64())
    );
}

#[tokio::test]
async fn somebody_elses_channel_takes_the_name() {
    let slack = Slack::demo().await;
    let new = json!({ "name": "inc-7", "creator": "U08DEVPATE1", "is_private": true, "topic": "theirs" });
    let made = slack.control("channels", new.clone()).await;
    assert_eq!(
        (made.status, &made.json()["channel"]["creator"]),
        (200, &json!("U08DEVPATE1"))
    );
    slack
        .fails("conversations.create", json!({ "name": "inc-7" }), "name_taken")
        .await;
    let list = slack
        .get("conversations.list", &[("types", "private_channel")])
        .await;
    assert_eq!(list["channels"], json!([]), "and it cannot even be seen");
    assert_eq!(slack.control("channels", new).await.status, 400);
    for bad in [
        json!({ "name": "Bad" }),
        json!({ "name": "x", "creator": "UNOBODY" }),
        json!({ "name": "x", "colour": "red" }),
    ] {
        assert!((400..500).contains(&slack.control("channels", bad).await.status));
    }
}

#[tokio::test]
async fn people_can_speak() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let parent = slack.say(&room, "card").await;
    let say =
        json!({ "channel": "inc-1", "user": "U08DEVPATE1", "text": "looking @here", "thread_ts": parent });
    assert_eq!(slack.control("messages", say).await.status, 200);
    let reply = &slack.said("inc-1")[0]["replies"][0];
    assert_eq!(
        (&reply["user"], &reply["notified"]),
        (&json!("U08DEVPATE1"), &json!(["!here"]))
    );
}

#[tokio::test]
async fn the_state_is_the_handles_state() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    slack.say(&room, "hello").await;
    let served = slack
        .send(slack.http.get(slack.url("/_emulator/state")))
        .await
        .json();
    assert_eq!(served, slack.emulator.handle().state());
    assert!(!served.to_string().contains(&slack.token));
}

#[tokio::test]
async fn serving_ends_when_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listener, Config::demo(), stop.clone()));
    let other = Slack::demo().await;
    let page = other.send(other.http.get(format!("http://{address}/"))).await;
    assert_eq!(page.status, 200);
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(5), served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[test]
fn the_configuration_does_not_print_the_token() {
    let config = Config::demo();
    assert!(!format!("{config:?}").contains(&config.token));
}
