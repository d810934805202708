use std::time::{Duration, Instant};

use emulators::slack::{Config, Fault, FaultKind};
use serde_json::{Value, json};
use types::FailureKind;

use crate::bench::{Bench, block_text, incident, messages, run_id};

async fn room(bench: &Bench) -> Value {
    bench
        .room(&incident("t"), &json!([]), "public")
        .await
        .unwrap()
        .outputs["room"]
        .clone()
}

fn replies(bench: &Bench, room: &Value) -> Vec<Value> {
    let channel = bench
        .slack
        .handle()
        .channel(room["name"].as_str().unwrap())
        .unwrap();
    messages(&channel)[0]["replies"].as_array().unwrap().clone()
}

fn item(index: u32) -> Value {
    let checks = json!([
        {"check": "memory", "level": "critical", "summary": "95 % of memory is used", "value": 95, "unit": "%"},
        {"check": "load", "level": "normal", "summary": "load 0.2 on 4 cores"}
    ]);
    json!({"step": "checks", "index": index, "value": format!("api-{index}"), "outcome": "succeeded", "outputs": {"checks": checks},
        "attempt": 1, "agent": "agt_00000000000000000000000000", "agent_name": "agent-a"})
}

#[tokio::test]
async fn one_reply_names_host_check_value_and_evidence() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    let lost = json!({"step": "checks", "index": 2, "value": "api-2", "outcome": "failed", "reason": "no agent took it in 3 s", "attempt": 0});
    let out = bench
        .action(
            "update",
            "slack/post",
            json!({"room": room, "items": [item(0), item(1), lost]}),
        )
        .await
        .unwrap();
    assert_eq!((&out.outputs["posted"], out.degraded.len()), (&json!(1), 0));
    let replies = replies(&bench, &room);
    assert_eq!(replies.len(), 1);
    assert_eq!(out.outputs["message"]["ts"], replies[0]["ts"]);
    let text = block_text(&replies[0]);
    let evidence = format!("↳ {} · checks[1] try 1 on agent-a", run_id());
    for part in [
        "api-0 ↳ ",
        "🔴 critical · memory: 95 % of memory is used (checks[0])",
        "api-1 ↳ ",
        "🟢 normal · load 0.2 on 4 cores (checks[1])",
        "not measured · checks of api-2: no agent took it in 3 s",
        &evidence,
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert_eq!(
        replies[0]["text"],
        json!("🔴 2 critical, 🟢 2 normal · 1 not measured")
    );
}

#[tokio::test]
async fn whatever_goes_wrong_a_reply_is_made_once() {
    for kind in [
        FaultKind::AcceptedThenDropped,
        FaultKind::Drop,
        FaultKind::Http { status: 500 },
        FaultKind::Garbage,
        FaultKind::Error {
            code: "fatal_error".to_owned(),
            effect: true,
        },
        FaultKind::RateLimited { retry_after: 1 },
    ] {
        let mut bench = Bench::demo().await;
        let room = room(&bench).await;
        bench
            .slack
            .handle()
            .inject(Fault {
                times: 2,
                ..Fault::once("chat.postMessage", kind.clone())
            })
            .unwrap();
        let params = json!({"room": room, "text": "hello"});
        let first = bench
            .action("update", "slack/post", params.clone())
            .await
            .unwrap();
        assert_eq!(replies(&bench, &room).len(), 1, "{kind:?}");
        bench.attempt = 2;
        let second = bench.action("update", "slack/post", params).await.unwrap();
        assert_eq!(first, second, "a second try finds the first's");
        assert_eq!(replies(&bench, &room).len(), 1, "{kind:?}");
        bench
            .action(
                "update",
                "slack/post",
                json!({"room": room, "text": "hello", "key": "b"}),
            )
            .await
            .unwrap();
        assert_eq!(replies(&bench, &room).len(), 2, "another key is another message");
    }
}

#[tokio::test]
async fn without_history_a_doubtful_post_is_said_to_be_doubtful() {
    let bench = Bench::with(Config::demo().without_scope("channels:history")).await;
    let room = room(&bench).await;
    bench
        .slack
        .handle()
        .inject(Fault::once("chat.postMessage", FaultKind::Drop))
        .unwrap();
    let out = bench
        .action("update", "slack/post", json!({"room": room, "text": "hello"}))
        .await
        .unwrap();
    assert!(
        out.degraded[0].contains("it may stand twice"),
        "{:?}",
        out.degraded
    );
    assert_eq!(replies(&bench, &room).len(), 1);
}

#[tokio::test]
async fn a_burst_is_spread_and_nothing_is_lost() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    let begun = Instant::now();
    for n in 0..12 {
        let out = bench
            .action(
                "update",
                "slack/post",
                json!({"room": room, "text": format!("n {n}"), "key": n.to_string()}),
            )
            .await
            .unwrap();
        assert!(out.degraded.is_empty());
    }
    assert_eq!(replies(&bench, &room).len(), 12);
    assert!(
        begun.elapsed() > Duration::from_millis(1_500),
        "the limit was met: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn much_is_spread_over_messages_within_the_budget() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    let items: Vec<Value> = (0..90).map(item).collect();
    let out = bench
        .action("update", "slack/post", json!({"room": room, "items": items}))
        .await
        .unwrap();
    let replies = replies(&bench, &room);
    assert!(
        replies.len() > 1 && out.outputs["posted"] == json!(replies.len()),
        "{}",
        replies.len()
    );
    let text: String = replies.iter().map(block_text).collect();
    assert!((0..90).all(|n| text.contains(&format!("api-{n} ↳ "))));
    assert_eq!(text.matches("critical · memory").count(), 90);
}

#[tokio::test]
async fn nothing_to_say_posts_nothing_and_wrong_parameters_are_refused() {
    let bench = Bench::demo().await;
    let room = room(&bench).await;
    let out = bench
        .action("update", "slack/post", json!({"room": room, "text": "  "}))
        .await
        .unwrap();
    assert_eq!(
        (out.degraded.as_slice(), replies(&bench, &room).len()),
        (["there was nothing to post".to_owned()].as_slice(), 0)
    );
    for (params, said) in [
        (json!({"text": "x"}), "the parameter room is missing"),
        (json!({"room": room, "txt": "x"}), "no parameter \"txt\""),
        (
            json!({"room": room, "text": 5}),
            "parameter text: expected string, found int",
        ),
    ] {
        let error = bench.action("update", "slack/post", params).await.unwrap_err();
        assert!(error.message.contains(said), "{error}");
    }
    let mut gone = room.clone();
    gone["channel"] = json!("C0NOWHERE");
    let error = bench
        .action("update", "slack/post", json!({"room": gone, "text": "x"}))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (FailureKind::Action, "Slack chat.postMessage: channel_not_found")
    );
}

#[tokio::test]
async fn the_desk_goes_from_alert_to_summary() {
    let bench = Bench::demo().await;
    let body = json!({"id": "A-1", "title": "T <!here>", "severity": "P2", "hosts": ["api-0"], "tags": ["team:backend"]});
    let alert = incident::normalise(incident::Source::Generic, None, body.to_string().as_bytes())
        .unwrap()
        .alert;
    let parsed = bench
        .action(
            "parse",
            "incident/parse",
            json!({"alert": alert, "incident_id": crate::bench::REFERENCE}),
        )
        .await
        .unwrap();
    let data = &parsed.outputs["incident"];
    assert_eq!(
        (&data["title"], &data["teams"], &data["reference"]),
        (
            &json!("T <!here>"),
            &json!(["backend"]),
            &json!(crate::bench::REFERENCE)
        )
    );
    let found = bench
        .action(
            "look",
            "incident/findings",
            json!({"items": [item(0)], "not_asked": ["datadog: no keys"]}),
        )
        .await
        .unwrap();
    let investigation = &found.outputs["investigation"];
    assert_eq!(
        investigation["conclusion"],
        json!("1 of 2 checks on 1 host abnormal: 1 critical, 0 warning")
    );
    assert!(found.degraded.is_empty());
    let wall = room(&bench).await;
    let params = json!({"room": wall, "investigation": investigation});
    bench.action("tell", "slack/post", params).await.unwrap();
    let text = block_text(&replies(&bench, &wall)[0]);
    for part in [
        "Findings: 1 of 2 checks on 1 host abnormal",
        "api-0 ↳ ",
        "🔴 critical · memory: 95 % of memory is used (checks[0])",
        "try 1 on agent-a",
        "🟢 normal · api-0 · load",
        "not asked: datadog: no keys",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let none = bench
        .action("look", "incident/findings", json!({}))
        .await
        .unwrap();
    assert_eq!(none.degraded, ["no evidence: nothing could be measured"]);
    let run = json!({"id": "run_1", "workflow": "incident-response", "started_at": 1, "elapsed_ms": 900, "outcome": "degraded",
        "reasons": ["resolve: 1 of 4 responders is not in the directory: x"], "steps": [
            {"key": "resolve", "outcome": "degraded", "reasons": ["1 of 4 responders is not in the directory: x"], "attempts": []},
            {"key": "final", "outcome": "running", "reasons": [], "attempts": []}]});
    let room = room(&bench).await;
    assert_eq!(room["channel"], wall["channel"]);
    let summary = bench
        .action(
            "final",
            "incident/summary",
            json!({"run": run, "room": room, "investigation": investigation}),
        )
        .await
        .unwrap();
    let lines: Vec<&str> = summary.outputs["summary"]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(lines[0], "incident-response: degraded after 900 ms");
    assert_eq!(
        lines.last(),
        Some(&"degraded: resolve: 1 of 4 responders is not in the directory: x"),
        "no reason stands twice: {lines:?}"
    );
}
