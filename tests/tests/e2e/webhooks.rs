//! Alerts come in: well, badly, again, and many at once.

use std::{net::SocketAddr, thread, time::Instant};

use e2e::{Stack, http};
use serde_json::json;

const GENERIC: &str = "/webhook/incident-response";
const DATADOG: &str = "/webhook/datadog-incident";

const ECHO: &str = r#"
name: echo
on: { alert: {} }
steps:
  say:
    uses: incident/parse
    with: { alert: "${{ trigger.alert }}" }
"#;

fn put(stack: &Stack, definition: &str) {
    let file = stack.file("bound.yaml", definition);
    let output = stack.cli(&["put", &file]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn raw(to: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> http::Answer {
    http::request(to, "POST", path, &[("Content-Type", content_type)], body).unwrap()
}

#[test]
fn what_can_never_be_understood_is_4xx_with_a_reason() {
    let stack = Stack::server();
    let to = stack.address();
    let cases: [(&str, &[u8], u16); 7] = [
        ("application/json", b"", 400),
        ("application/json", b"{\"title\":", 400),
        ("application/json", b"[1,2]", 422),
        ("application/json", b"{\"severity\":\"critical\"}", 422),
        ("application/json", b"{\"title\":5}", 422),
        ("application/json", b"\xff\xfe{}", 400),
        ("image/png", b"{\"title\":\"x\"}", 415),
    ];
    for (content_type, body, status) in cases {
        let answer = raw(to, GENERIC, content_type, body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(
            answer.json()["reason"]
                .as_str()
                .is_some_and(|reason| reason.len() > 10),
            "{answer:?}"
        );
    }
    assert_eq!(http::request(to, "GET", GENERIC, &[], b"").unwrap().status, 405);
    // What a page in a browser sends on its own, without asking first.
    for header in [
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        let answer = http::request(to, "POST", GENERIC, &[header], b"{\"title\":\"csrf\"}").unwrap();
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert!(
        stack
            .json(&["incidents", "-o", "json"])
            .unwrap()
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_body_beyond_the_limit_is_413_and_never_a_reset() {
    let stack = Stack::server();
    for size in [1024 * 1024 + 1, 2 * 1024 * 1024, 6 * 1024 * 1024] {
        let answer = raw(stack.address(), GENERIC, "application/json", &vec![b'x'; size]);
        assert_eq!(answer.status, 413, "{size}: {answer:?}");
    }
    let title = "t".repeat(1024 * 1024 - 20);
    let fits = json!({ "title": title }).to_string();
    assert!(fits.len() <= 1024 * 1024);
    assert_eq!(
        raw(stack.address(), GENERIC, "application/json", fits.as_bytes()).status,
        202
    );
}

#[test]
fn a_repeated_delivery_gets_the_same_ids_and_a_recovery_updates_the_incident() {
    let stack = Stack::with_agent();
    put(&stack, ECHO);
    let alert = |transition: &str| {
        json!({
            "id": "710000000000", "alert_id": "42", "cycle_key": "c-1", "org_id": "7", "transition": transition,
            "title": "disk full", "priority": "P1", "host": "web-1", "tags": "env:prod,team:backend", "scope": "host:web-1"
        })
    };
    let first = http::post_json(stack.address(), DATADOG, &alert("Triggered"));
    assert_eq!(first.status, 202, "{first:?}");
    let ids = first.json();
    assert_eq!(ids["run_ids"].as_array().unwrap().len(), 1);
    assert_eq!(ids["run_id"], ids["run_ids"][0]);
    assert_eq!(
        http::post_json(stack.address(), DATADOG, &alert("Triggered")).json(),
        ids
    );
    let over = http::post_json(stack.address(), DATADOG, &alert("Recovered")).json();
    assert_eq!(over["incident_id"], ids["incident_id"]);
    assert!(over["run_id"].is_null(), "{over}");
    let incidents = stack.json(&["incidents", "-o", "json"]).unwrap();
    assert_eq!(incidents.as_array().unwrap().len(), 1, "{incidents:#}");
    assert_eq!(incidents[0]["state"], "resolved", "{incidents:#}");
    assert_eq!(
        stack
            .json(&["runs", "-o", "json"])
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        stack.finished(ids["run_id"].as_str().unwrap())["outcome"],
        "succeeded"
    );
}

#[test]
fn an_alert_that_nothing_is_bound_to_is_kept_without_a_run() {
    let stack = Stack::server();
    let answer = http::post_json(stack.address(), GENERIC, &json!({ "title": "hello" }));
    assert_eq!(answer.status, 202);
    assert!(answer.json()["run_id"].is_null());
    assert_eq!(answer.json()["run_ids"], json!([]));
    assert_eq!(
        stack.json(&["incidents", "-o", "json"]).unwrap()[0]["title"],
        "hello"
    );
}

#[test]
fn a_configured_secret_is_required() {
    let mut stack = Stack::server_with(&["--webhook-secret-env", "HOOK"], &[("HOOK", "s3cret-s3cret")]);
    let pid = stack.server_process().pid();
    for what in ["environ", "cmdline"] {
        let bytes = std::fs::read(format!("/proc/{pid}/{what}")).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes).contains("s3cret-s3cret"),
            "/proc/{pid}/{what} holds the secret"
        );
    }
    let body = json!({ "title": "x" }).to_string();
    let with = |auth: &[(&str, &str)]| {
        let headers = [&[("Content-Type", "application/json")], auth].concat();
        http::request(stack.address(), "POST", GENERIC, &headers, body.as_bytes())
            .unwrap()
            .status
    };
    assert_eq!(with(&[]), 401);
    assert_eq!(with(&[("Authorization", "Bearer wrong")]), 401);
    assert_eq!(with(&[("Authorization", "Bearer s3cret-s3cret")]), 202);
}

#[test]
fn fifty_at_once_are_all_taken_once() {
    let stack = Stack::with_agent();
    put(&stack, ECHO);
    let to = stack.address();
    let begun = Instant::now();
    let answers: Vec<serde_json::Value> = thread::scope(|scope| {
        let send = |n: usize| {
            // Each of 25 alerts comes twice at the same time.
            let body = json!({ "id": format!("a-{}", n / 2), "title": format!("alert {}", n / 2), "severity": "high" });
            let answer = http::post_json(to, GENERIC, &body);
            assert_eq!(answer.status, 202, "{answer:?}");
            answer.json()
        };
        let threads: Vec<_> = (0..50).map(|n| scope.spawn(move || send(n))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    eprintln!("fifty webhooks in {:?}", begun.elapsed());
    for pair in answers.chunks(2) {
        assert_eq!(pair[0]["run_id"], pair[1]["run_id"]);
        assert_eq!(pair[0]["incident_id"], pair[1]["incident_id"]);
    }
    let runs = stack.json(&["runs", "-o", "json"]).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), 25);
    for run in runs.as_array().unwrap() {
        assert_eq!(
            stack.finished(run["id"].as_str().unwrap())["outcome"],
            "succeeded"
        );
    }
}

#[test]
fn an_accepted_alert_survives_kill_9_of_the_server() {
    let mut stack = Stack::with_agent();
    put(&stack, ECHO);
    let answer = http::post_json(stack.address(), GENERIC, &json!({ "id": "k", "title": "kill" }));
    stack.server_process().kill9();
    stack.start_server();
    let run = answer.json()["run_id"].as_str().unwrap().to_owned();
    assert_eq!(stack.finished(&run)["outcome"], "succeeded");
    let again = http::post_json(stack.address(), GENERIC, &json!({ "id": "k", "title": "kill" }));
    assert_eq!(again.json(), answer.json());
}
