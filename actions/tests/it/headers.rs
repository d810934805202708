//! The room's header, its files, its messages that change, and its end.

use emulators::slack::{Config, Fault, FaultKind};
use serde_json::{Value, json};
use types::FailureKind;

use crate::bench::{Bench, block_text, incident, messages};

async fn room(bench: &Bench) -> Value {
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    room.outputs["room"].clone()
}

fn channel(bench: &Bench, room: &Value) -> Value {
    bench
        .slack
        .handle()
        .channel(room["name"].as_str().unwrap())
        .unwrap()
}

fn inject(bench: &Bench, method: &str, kind: FaultKind) {
    bench.slack.handle().inject(Fault::once(method, kind)).unwrap();
}

fn code(code: &str) -> FaultKind {
    FaultKind::Error {
        code: code.to_owned(),
        effect: false,
    }
}

#[tokio::test]
async fn a_message_says_something_else_and_keeps_its_mark_and_thread() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    let params = json!({"room": room, "text": "We are looking at it."});
    let posted = bench.action("begin", "slack/post", params).await.unwrap();
    let message = &posted.outputs["message"];
    // The answer is lost: the same change is just made again.
    inject(&bench, "chat.update", FaultKind::AcceptedThenDropped);
    let params = json!({"message": message, "text": "<!channel> done"});
    let out = bench.action("end", "slack/update-message", params).await.unwrap();
    assert!(out.degraded.is_empty(), "{:?}", out.degraded);
    assert_eq!(
        (&out.outputs["message"]["ts"], &out.outputs["whole"]),
        (&message["ts"], &json!(true))
    );
    let channel = channel(&bench, &room);
    let replies = messages(&channel)[0]["replies"].as_array().unwrap().clone();
    assert_eq!(replies.len(), 1);
    assert_eq!(block_text(&replies[0]).trim(), "<!channel> done");
    assert_eq!(replies[0]["notified"], json!([]), "nobody is paged");
    assert_eq!(replies[0]["metadata"]["event_payload"]["key"], json!("begin"));
    let long = json!({"message": message, "text": "x".repeat(30_000)});
    let out = bench.action("end", "slack/update-message", long).await.unwrap();
    assert_eq!(out.outputs["whole"], json!(false));
    assert_eq!(out.degraded, ["what goes beyond one message is not shown in it"]);
}

#[tokio::test]
async fn a_message_that_cannot_change_says_why() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    let message = |ts: &str| json!({"message": {"channel": room["channel"], "ts": ts}, "text": "x"});
    let ask = |params: Value| bench.action("end", "slack/update-message", params);
    let error = ask(message("1763923500.000100")).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Action);
    assert!(
        error.message.ends_with("message_not_found: the message is gone"),
        "{error}"
    );
    let channel = channel(&bench, &room);
    let joined = channel["messages"].as_array().unwrap().iter();
    let joined = joined
        .clone()
        .find(|message| message["subtype"] == "channel_join")
        .unwrap();
    let error = ask(message(joined["ts"].as_str().unwrap())).await.unwrap_err();
    assert!(
        error.message.contains("not one that this Slack app posted"),
        "{error}"
    );
    let error = ask(json!({"message": {"channel": "C1", "ts": "1"}}))
        .await
        .unwrap_err();
    assert!(error.message.starts_with("there is nothing to say"), "{error}");
}

#[tokio::test]
async fn a_bookmark_stands_once_and_its_title_names_its_host() {
    let mut bench = Bench::demo().await;
    let room = room(&bench).await;
    let params = json!({"room": room, "title": "Our dashboard", "link": "https://dash.example/d?a=1&b=2"});
    inject(&bench, "bookmarks.add", FaultKind::AcceptedThenDropped);
    let first = bench
        .action("links", "slack/bookmark", params.clone())
        .await
        .unwrap();
    assert_eq!(
        first.outputs["adopted"],
        json!(true),
        "it was seen after the lost answer"
    );
    bench.attempt = 2;
    let second = bench
        .action("links", "slack/bookmark", params.clone())
        .await
        .unwrap();
    assert_eq!(second.outputs["id"], first.outputs["id"]);
    let there = channel(&bench, &room)["bookmarks"].clone();
    assert_eq!(there.as_array().unwrap().len(), 1);
    assert_eq!(there[0]["title"], json!("Our dashboard (dash.example)"));
    let bad = json!({"room": room, "title": "x", "link": "javascript:alert(1)"});
    let error = bench.action("links", "slack/bookmark", bad).await.unwrap_err();
    assert!(
        error.message.starts_with("link: expected an http or https URL"),
        "{error}"
    );
}

#[tokio::test]
async fn without_the_right_to_read_a_bookmark_may_stand_twice_and_that_is_said() {
    let bench = Bench::with(Config::demo().without_scope("bookmarks:read")).await;
    let room = room(&bench).await;
    let params = json!({"room": room, "title": "Runbook", "link": "https://wiki.example/r"});
    let out = bench.action("links", "slack/bookmark", params).await.unwrap();
    assert_eq!(
        out.degraded,
        [
            "whether the link stands in the header already could not be seen (missing_scope (needs bookmarks:read)): \
          it may stand twice"
        ]
    );
    let bench = Bench::with(Config::demo().without_scope("bookmarks:write")).await;
    let room = self::room(&bench).await;
    let params = json!({"room": room, "title": "Runbook", "link": "https://wiki.example/r"});
    let error = bench.action("links", "slack/bookmark", params).await.unwrap_err();
    assert!(
        error.message.contains("missing_scope (needs bookmarks:write)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_stands_once_in_the_thread_and_the_token_stays_with_slack() {
    let mut bench = Bench::demo().await;
    let room = room(&bench).await;
    let params = json!({
        "room": room, "filename": "checks.txt", "content": "load 4.05\n<!channel>\n", "comment": "<!here> what api-1 says",
    });
    inject(
        &bench,
        "files.completeUploadExternal",
        FaultKind::AcceptedThenDropped,
    );
    // The emulator refuses bytes that come with a token.
    let first = bench
        .action("upload", "slack/upload", params.clone())
        .await
        .unwrap();
    assert!(first.degraded.is_empty(), "{:?}", first.degraded);
    assert_eq!(first.outputs["adopted"], json!(true));
    assert_eq!(first.outputs["file"]["bytes"], json!(21));
    bench.attempt = 2;
    let second = bench.action("upload", "slack/upload", params).await.unwrap();
    assert_eq!(first.outputs["file"], second.outputs["file"]);
    let channel = channel(&bench, &room);
    let replies = messages(&channel)[0]["replies"].as_array().unwrap().clone();
    assert_eq!(replies.len(), 1);
    assert_eq!(
        replies[0]["files"][0]["content"],
        json!("load 4.05\n<!channel>\n")
    );
    assert_eq!(replies[0]["text"], json!("&lt;!here&gt; what api-1 says"));
    assert_eq!(replies[0]["notified"], json!([]));
    let other = json!({"room": room, "filename": "checks.txt", "content": "another"});
    let third = bench.action("upload", "slack/upload", other).await.unwrap();
    assert_eq!(
        third.outputs["adopted"],
        json!(false),
        "another length is another file"
    );
}

#[tokio::test]
async fn what_slack_does_not_take_is_no_file() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    let file = |name: &str, content: &str| json!({"room": room, "filename": name, "content": content});
    for (params, said) in [
        (file("../x", "y"), "filename: expected"),
        (file("x.txt", ""), "content: it is empty"),
    ] {
        let error = bench.action("upload", "slack/upload", params).await.unwrap_err();
        assert!(error.message.starts_with(said), "{error}");
    }
    inject(
        &bench,
        "files.completeUploadExternal",
        code("posting_to_channel_denied"),
    );
    let error = bench
        .action("upload", "slack/upload", file("x.txt", "y"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::Action);
    assert!(error.message.contains("posting_to_channel_denied"), "{error}");
    assert_eq!(messages(&channel(&bench, &room))[0]["replies"], json!([]));
}

#[tokio::test]
async fn a_room_is_archived_once() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    inject(&bench, "conversations.archive", FaultKind::AcceptedThenDropped);
    let out = bench
        .action("end", "slack/archive", json!({"room": room}))
        .await
        .unwrap();
    assert_eq!(
        out.outputs["already"],
        json!(true),
        "the try whose answer was lost did it"
    );
    assert_eq!(channel(&bench, &room)["is_archived"], json!(true));
    inject(&bench, "conversations.archive", code("not_in_channel"));
    let error = bench
        .action("end", "slack/archive", json!({"room": room}))
        .await
        .unwrap_err();
    let said = format!("our bot is not in #{}", room["name"].as_str().unwrap());
    assert!(error.message.contains(&said), "{error}");
}

#[tokio::test]
async fn a_user_group_is_its_members_each_once() {
    let bench = Bench::demo().await;
    let params = json!({"users": ["sam.okafor@company.com", "@backend-team", "@nobody-team"]});
    let out = bench
        .action("resolve", "slack/resolve-users", params)
        .await
        .unwrap();
    let people = out.outputs["people"].as_array().unwrap();
    let ids: Vec<&str> = people.iter().filter_map(|one| one["user_id"].as_str()).collect();
    assert_eq!(ids, ["U08SAMOKAF1", "U08TOMBECK1", "U08MARIALO1"]);
    assert_eq!(people[1]["query"], json!("@backend-team (tom)"));
    assert_eq!(people[1]["note"], json!("of @backend-team"));
    assert!(
        out.degraded[0].contains("not in the directory: @nobody-team"),
        "{:?}",
        out.degraded
    );
    let room = bench
        .room(&incident("t"), &out.outputs["people"], "private")
        .await
        .unwrap();
    let channel = bench.channel(&room);
    assert_eq!(
        channel["members"],
        json!(["U08FIREHALL", "U08SAMOKAF1", "U08TOMBECK1", "U08MARIALO1"])
    );
    let brief = block_text(&messages(&channel)[0]);
    assert!(brief.contains("tom, found by id, of @backend-team"), "{brief}");
}

#[tokio::test]
async fn groups_that_cannot_be_read_are_told_and_nobody_is_guessed() {
    let bench = Bench::with(Config::demo().without_scope("usergroups:read")).await;
    let params = json!({"users": ["@oncall-backend"]});
    let out = bench
        .action("resolve", "slack/resolve-users", params)
        .await
        .unwrap();
    assert!(
        out.degraded.is_empty(),
        "a person needs no group: {:?}",
        out.degraded
    );
    assert_eq!(bench.count("usergroups.list"), 0);
    let params = json!({"users": ["@backend-team"]});
    let out = bench
        .action("resolve", "slack/resolve-users", params)
        .await
        .unwrap();
    assert_eq!(
        out.degraded,
        [
            "user groups cannot be read: missing_scope (needs usergroups:read)",
            "1 of 1 responders is not in the directory: @backend-team"
        ]
    );
}
