//! Each kind of fault on each method of the path: the room stands once, or the step says why not.

use std::time::Duration;

use emulators::slack::{Fault, FaultKind};
use serde_json::json;
use types::FailureKind;

use crate::bench::{Bench, incident, messages, system};

const METHODS: [&str; 8] = [
    "auth.test",
    "conversations.create",
    "conversations.setTopic",
    "conversations.invite",
    "conversations.members",
    "chat.postMessage",
    "chat.getPermalink",
    "pins.add",
];

fn kinds() -> Vec<FaultKind> {
    vec![
        FaultKind::RateLimited { retry_after: 1 },
        FaultKind::Http { status: 500 },
        FaultKind::Http { status: 503 },
        FaultKind::AcceptedThenDropped,
        FaultKind::Error {
            code: "fatal_error".to_owned(),
            effect: true,
        },
        FaultKind::Error {
            code: "internal_error".to_owned(),
            effect: false,
        },
        FaultKind::Drop,
        FaultKind::Garbage,
    ]
}

#[tokio::test]
async fn whatever_goes_wrong_once_the_room_stands_once() {
    for method in METHODS {
        for kind in kinds() {
            let bench = Bench::demo().await;
            let people = bench.people(&["maria.lopez@company.com", "Dev Patel"]).await;
            bench
                .slack
                .handle()
                .inject(Fault::once(method, kind.clone()))
                .unwrap();
            let room = bench.room(&incident("t"), &people, "public").await;
            let room = room.unwrap_or_else(|error| panic!("{method} {kind:?}: {error}"));
            assert!(room.degraded.is_empty(), "{method} {kind:?}: {:?}", room.degraded);
            let state = bench.slack.handle().state();
            let rooms = state["channels"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|c| c["name"].as_str().unwrap().starts_with("inc-"));
            assert_eq!(rooms.count(), 1, "{method} {kind:?}");
            let channel = bench.channel(&room);
            assert_eq!(messages(&channel).len(), 1, "{method} {kind:?}: one brief");
            assert_eq!(
                system(&channel, "channel_topic"),
                1,
                "{method} {kind:?}: one topic"
            );
            assert_eq!(
                channel["pins"].as_array().unwrap().len(),
                1,
                "{method} {kind:?}: one pin"
            );
            assert_eq!(
                channel["members"].as_array().unwrap().len(),
                3,
                "{method} {kind:?}: staffed"
            );
        }
    }
}

#[tokio::test]
async fn a_slow_answer_beyond_our_patience_is_read_back() {
    let bench = Bench::demo().await;
    // Above the client's 10 s for a whole request: the post is accepted, its answer comes too late.
    bench
        .slack
        .handle()
        .inject(Fault::once("chat.postMessage", FaultKind::Slow { ms: 12_000 }))
        .unwrap();
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(messages(&bench.channel(&room)).len(), 1);
}

#[tokio::test]
async fn a_limit_beyond_the_budget_is_told_with_its_wait() {
    let mut bench = Bench::demo().await;
    bench.budget = Duration::from_secs(5);
    bench
        .slack
        .handle()
        .inject(Fault::once(
            "conversations.create",
            FaultKind::RateLimited { retry_after: 30 },
        ))
        .unwrap();
    let error = bench
        .room(&incident("t"), &json!([]), "public")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after_ms),
        (FailureKind::RateLimited, Some(30_000))
    );
}

#[tokio::test]
async fn slack_being_down_is_transient_and_named() {
    let mut bench = Bench::demo().await;
    bench.budget = Duration::from_secs(4);
    let down = Fault {
        method: "*".to_owned(),
        times: 1_000,
        skip: 0,
        kind: FaultKind::Http { status: 502 },
    };
    bench.slack.handle().inject(down).unwrap();
    let error = bench
        .room(&incident("t"), &json!([]), "public")
        .await
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::Transient);
    assert!(error.message.contains("auth.test: HTTP 502"), "{error}");
    let gone = Bench::demo().await;
    let connections = gone.connections.clone();
    gone.slack.shutdown().await.unwrap();
    let (context, _lines) = crate::bench::context(
        connections,
        crate::bench::run_id(),
        "s",
        1,
        Duration::from_secs(4),
    );
    let error = actions::Registry::builtin()
        .run("slack/connect", &context, serde_json::Map::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::Transient);
    assert!(error.message.contains("no connection"), "{error}");
}

#[tokio::test]
async fn the_token_is_nowhere() {
    let bench = Bench::demo().await;
    let secret = bench.connections.secrets()[0].expose().to_owned();
    let mut seen = String::new();
    let connect = bench.action("setup", "slack/connect", json!({})).await.unwrap();
    seen.push_str(&format!("{connect:?}"));
    assert_eq!(connect.outputs["connection"]["missing"], json!([]));
    assert!(connect.degraded.is_empty(), "{:?}", connect.degraded);
    for kind in kinds() {
        bench
            .slack
            .handle()
            .inject(Fault {
                method: "*".to_owned(),
                times: 2,
                skip: 1,
                kind,
            })
            .unwrap();
        seen.push_str(&format!(
            "{:?}",
            bench.room(&incident("t"), &json!([]), "public").await
        ));
    }
    seen.push_str(&bench.log.lock().unwrap());
    assert!(seen.contains("slack chat.postMessage: ok in"), "{seen}");
    assert!(!seen.contains(&secret));
}
