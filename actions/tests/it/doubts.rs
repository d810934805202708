//! Writes whose end is not known, and look-ups that do not tell.

use std::time::{Duration, Instant};

use emulators::slack::{Config, Fault, FaultKind, SeedChannel};
use serde_json::{Value, json};
use types::FailureKind;

use crate::bench::{Bench, block_text, incident, messages, system};

/// The name that the incident of these tests gets.
const NAME: &str = "inc-dd-77-t-aaaaabcd";

fn down(method: &str, times: u32) -> Fault {
    Fault {
        times,
        ..Fault::once(method, FaultKind::Http { status: 503 })
    }
}

fn error(method: &str, code: &str, effect: bool, times: u32) -> Fault {
    let code = code.to_owned();
    Fault {
        times,
        ..Fault::once(method, FaultKind::Error { code, effect })
    }
}

fn anothers(name: &str) -> SeedChannel {
    SeedChannel {
        name: name.to_owned(),
        topic: "ours since 2019".to_owned(),
        is_private: false,
        members: vec!["U08GRACEME1".into()],
    }
}

fn replies(bench: &Bench, room: &Value) -> usize {
    let name = room["name"].as_str().unwrap();
    let channel = bench.slack.handle().channel(name).unwrap();
    messages(&channel)[0]["replies"].as_array().unwrap().len()
}

#[tokio::test]
async fn trouble_of_seconds_is_survived_and_each_write_stands_once() {
    let bench = Bench::demo().await;
    for method in ["conversations.create", "chat.postMessage"] {
        bench.slack.handle().inject(down(method, 6)).unwrap();
    }
    bench
        .slack
        .handle()
        .inject(down("conversations.setTopic", 3))
        .unwrap();
    let out = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert!(out.degraded.is_empty(), "{:?}", out.degraded);
    let channel = bench.channel(&out);
    assert_eq!(
        (messages(&channel).len(), system(&channel, "channel_topic")),
        (1, 1)
    );
    let room = &out.outputs["room"];
    let begun = Instant::now();
    bench.slack.handle().inject(down("chat.postMessage", 6)).unwrap();
    let out = bench
        .action("update", "slack/post", json!({"room": room, "text": "hello"}))
        .await
        .unwrap();
    assert!(out.degraded.is_empty(), "{:?}", out.degraded);
    assert_eq!(replies(&bench, room), 1);
    // Six full-jitter pauses, of 3.5 s on average: below 100 ms once in 10^8.
    assert!(
        begun.elapsed() > Duration::from_millis(100),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn the_pauses_stay_within_the_budget() {
    let mut bench = Bench::demo().await;
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    bench.budget = Duration::from_millis(1_500);
    bench
        .slack
        .handle()
        .inject(down("chat.postMessage", 1_000))
        .unwrap();
    let begun = Instant::now();
    let params = json!({"room": room.outputs["room"], "text": "hello"});
    let error = bench.action("update", "slack/post", params).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Transient);
    assert!(
        begun.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        begun.elapsed()
    );
    let tries = bench.count("chat.postMessage") - 1;
    assert!((2..=8).contains(&tries), "{tries}");
}

#[tokio::test]
async fn a_blind_post_is_repeated_less() {
    let bench = Bench::with(Config::demo().without_scope("channels:history")).await;
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    bench
        .slack
        .handle()
        .inject(down("chat.postMessage", 1_000))
        .unwrap();
    let params = json!({"room": room.outputs["room"], "text": "hello"});
    bench.action("update", "slack/post", params).await.unwrap_err();
    assert_eq!(bench.count("chat.postMessage") - 1, 4);
}

#[tokio::test]
async fn without_the_list_a_doubtful_name_is_left_for_the_next() {
    let bench = Bench::demo().await;
    for fault in [
        error("conversations.create", "fatal_error", true, 1),
        error("conversations.list", "unknown_method", false, 99),
    ] {
        bench.slack.handle().inject(fault).unwrap();
    }
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(room.outputs["room"]["name"], json!(format!("{NAME}-2")));
    assert_eq!(
        room.degraded,
        [format!(
            "whether #{NAME} is ours cannot be seen: conversations.list: unknown_method"
        )]
    );
    let brief = messages(&bench.channel(&room));
    let text = block_text(&brief[0]);
    assert_eq!(brief.len(), 1);
    assert!(
        text.contains("is ours cannot be seen") && !text.contains("belongs to another"),
        "{text}"
    );
    // What had no effect is made under its own name: the second create finds it free.
    let bench = Bench::demo().await;
    for fault in [
        error("conversations.create", "fatal_error", false, 1),
        error("conversations.list", "unknown_method", false, 99),
    ] {
        bench.slack.handle().inject(fault).unwrap();
    }
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(room.outputs["room"]["name"], json!(NAME));
    assert!(room.degraded.is_empty(), "{:?}", room.degraded);
}

#[tokio::test]
async fn a_list_without_its_scope_says_nothing_of_public_channels() {
    for lacking in [
        &["channels:read"][..],
        &["groups:read"],
        &["channels:read", "groups:read"],
    ] {
        for privacy in ["auto", "public"] {
            let mut config = Config::demo();
            // Private and without us: no list shows it.
            config.channels.push(SeedChannel {
                is_private: true,
                ..anothers(NAME)
            });
            let config = lacking
                .iter()
                .fold(config, |config, scope| config.without_scope(scope));
            let bench = Bench::with(config).await;
            let room = bench.room(&incident("t"), &json!([]), privacy).await.unwrap();
            let out = &room.outputs["room"];
            assert_eq!(
                (&out["private"], &out["name"]),
                (&json!(false), &json!(format!("{NAME}-2"))),
                "{lacking:?} {privacy}"
            );
            let said = format!("whether #{NAME} is ours cannot be seen: conversations.list: missing_scope");
            let told = room.degraded.iter().filter(|why| why.starts_with(&said)).count();
            assert_eq!(told, 1, "{lacking:?} {privacy}: {:?}", room.degraded);
            assert!(
                !room.degraded.iter().any(|why| why.contains("no public channel")),
                "{lacking:?} {privacy}: {:?}",
                room.degraded
            );
        }
    }
}

/// People write this much into a channel or a thread.
async fn chatter(bench: &Bench, channel: &Value, thread: Option<&Value>, count: usize) {
    let url = format!("http://{}/_emulator/messages", bench.slack.address());
    let client = node::egress::Egress::to(&url).client().unwrap();
    let mut body = json!({"channel": channel, "user": "U08GRACEME1", "text": "and now?"});
    if let Some(thread) = thread {
        body["thread_ts"] = thread.clone();
    }
    for _ in 0..count {
        let answer = client
            .post(&url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}

#[tokio::test]
async fn beyond_what_is_read_back_a_post_is_said_to_be_doubtful() {
    let mut bench = Bench::with(Config::demo().without_limits()).await;
    bench.attempt = 2;
    let out = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert!(out.degraded.is_empty(), "{:?}", out.degraded);
    let room = &out.outputs["room"];
    chatter(&bench, &room["channel"], Some(&room["message_ts"]), 2_000).await;
    let params = json!({"room": room, "text": "hello"});
    let reply = bench.action("update", "slack/post", params).await.unwrap();
    assert_eq!(
        reply.degraded,
        ["only the oldest 2000 messages were looked through for one of ours: it may stand twice"]
    );
    chatter(&bench, &room["channel"], None, 2_000).await;
    let again = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(
        again.degraded,
        ["only the newest 2000 messages were looked through for one of ours: it may stand twice"]
    );
}

#[tokio::test]
async fn beyond_the_channels_that_are_read_the_name_is_said_to_be_unsure() {
    let mut config = Config::demo().without_limits();
    config
        .channels
        .extend((0..30_000).map(|n| anothers(&format!("team-{n}"))));
    config.channels.push(anothers(NAME));
    let mut bench = Bench::with(config).await;
    bench.budget = Duration::from_secs(120);
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(room.outputs["room"]["name"], json!(format!("{NAME}-2")));
    assert_eq!(
        room.degraded,
        [format!(
            "whether #{NAME} is ours cannot be seen: conversations.list: only the first 30000 channels were looked through"
        )]
    );
}
