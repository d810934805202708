//! Bad input on what is not gRPC: webhooks, health, pages and their streams.

use std::time::Duration;

use futures::{StreamExt, stream};
use proto::v1::{self, incident_service_client::IncidentServiceClient};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{AT_ONCE, Scene, raw};
use crate::{
    http,
    stack::{Stack, soon},
};

/// Paths with `{}` for what a stranger may write there.
const PAGES: &[&str] = &[
    "/incidents/{}",
    "/incidents/{}/alerts/{}",
    "/runs/{}",
    "/runs/{}/steps/only",
    "/runs/$RUN/steps/{}",
    "/runs/{}/history",
    "/runs/{}/history.json",
    "/runs/{}/events",
    "/runs/{}/logs",
    "/runs/{}/logs/rows",
    "/runs/{}/logs/search",
    "/runs/{}/logs/events",
    "/runs/{}/logs.txt",
    "/workflows/{}",
    "/assets/{}/{}",
    "/{}",
    "/webhook/{}",
];
/// Paths that are there, with queries that make no sense.
const THERE: &[&str] = &[
    "/",
    "/healthz",
    "/incidents",
    "/incidents/$INC",
    "/runs",
    "/runs/$RUN",
    "/runs/$RUN/steps/only",
    "/runs/$RUN/history",
    "/runs/$RUN/history.json",
    "/runs/$RUN/events",
    "/runs/$RUN/logs",
    "/runs/$RUN/logs/rows",
    "/runs/$RUN/logs/search",
    "/runs/$RUN/logs/events",
    "/runs/$RUN/logs.txt",
    "/agents",
    "/workflows",
    "/workflows/bound",
    "/live",
];
const WORDS: &[&str] = &[
    "x",
    "run_",
    "run_01j0000000000000000000000z",
    "inc_01j0000000000000000000000z",
    "RUN_01J0000000000000000000000Z",
    "%00",
    "%ff%fe",
    "..%2f..%2fetc%2fpasswd",
    "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "%F0%9F%94%A5%E2%80%AE",
    "%",
    "'%20OR%201=1",
];

fn decent(what: &str, answer: &http::Answer) {
    assert!(
        answer.status < 500 || what.contains("/healthz"),
        "{what}: {} {}",
        answer.status,
        answer.body
    );
    let said = answer.body.to_string();
    for inside in [
        "SELECT ",
        "sqlite",
        ".rs:",
        "panicked",
        "/root/",
        "RUST_BACKTRACE",
        "<script>alert",
    ] {
        assert!(!said.contains(inside), "{what}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_their_streams_answer_whatever_is_asked() {
    let scene = Scene::set().await;
    let here = |path: &str| path.replace("$RUN", &scene.run).replace("$INC", &scene.incident);
    let long = "y".repeat(3_000);
    let mut heads = Vec::new();
    for page in PAGES {
        for word in WORDS.iter().copied().chain([long.as_str()]) {
            heads.push(format!("GET {} HTTP/1.1", here(&page.replace("{}", word))));
        }
    }
    for path in THERE.iter().map(|path| here(path)) {
        for word in WORDS
            .iter()
            .copied()
            .chain(["", "-1", "99999999999999999999999", &long])
        {
            let names = [
                "limit",
                "page",
                "page_token",
                "before",
                "after",
                "state",
                "outcome",
                "step",
                "index",
                "attempt",
            ];
            let more = [
                "stream", "offset", "from", "q", "line", "cursor", "tail", "follow", "kind", "workflow",
                "index",
            ];
            let query: Vec<String> = names
                .iter()
                .chain(&more)
                .map(|name| format!("{name}={word}"))
                .collect();
            heads.push(format!("GET {path}?{} HTTP/1.1", query.join("&")));
        }
        for last in ["x", "-1", "0", "99999999999999999999999", "\u{7f}", "1, 2"] {
            heads.push(format!(
                "GET {path} HTTP/1.1\r\nLast-Event-ID: {last}\r\nAccept: text/event-stream"
            ));
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            heads.push(format!(
                "{method} {path} HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
            ));
        }
    }
    assert!(heads.len() > 500, "{}", heads.len());
    let scene_stack = &scene.stack;
    let calls = heads.iter().map(|head| async move {
        let answer = http::send(scene_stack, head, b"").await;
        decent(head, &answer);
        let method = head.split(' ').next().unwrap();
        if method != "GET" {
            assert_eq!(answer.status, 405, "{head}");
        }
    });
    stream::iter(calls)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    raw::assert_quiet("pages");
    scene.assert_whole().await;
}

/// What one connection gets for these bytes: the status, or none when it is closed without one.
async fn bytes(stack: &Stack, parts: &[&[u8]], pause: Duration) -> Option<u16> {
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    for part in parts {
        if stream.write_all(part).await.is_err() {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    // Until the headers are there, or the end.
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        match soon("an answer", stream.read(&mut chunk)).await {
            Ok(0) | Err(_) => break,
            Ok(n) => answer.extend_from_slice(&chunk[..n]),
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.get(9..12).and_then(|code| code.parse().ok())
}

const GOOD: &str = r#"{"id": "good", "title": "it burns", "severity": "low"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_take_what_is_an_alert_and_say_why_all_else_is_none() {
    let scene = Scene::set().await;
    let path = "/webhook/incident-response";
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for (kind, body, statuses) in [
        ("application/json", GOOD.as_bytes(), &[202][..]),
        ("application/json; charset=utf-8", GOOD.as_bytes(), &[202]),
        ("application/xml", GOOD.as_bytes(), &[415]),
        ("multipart/form-data; boundary=x", GOOD.as_bytes(), &[415]),
        ("image/png", &[0x89, b'P'], &[415]),
        ("application/json", b"", &[400]),
        ("application/json", b"\xff\xfe{\0}\0", &[400]),
        ("application/json", b"\x1f\x8b\x08\0\0", &[400]),
        ("application/json", b"[1]", &[422]),
        ("application/json", b"null", &[422]),
        ("application/json", b"{}", &[422]),
        ("application/json", b"{\"title\": {}}", &[422]),
        (
            "application/json",
            b"{\"id\": \"a\", \"title\": \"\xed\xa0\x80\"}",
            &[400],
        ),
        ("application/json", deep.as_bytes(), &[400]),
    ] {
        for path in [path, "/webhook/datadog-incident"] {
            let head = format!("POST {path} HTTP/1.1\r\nContent-Type: {kind}");
            let answer = http::send(&scene.stack, &head, body).await;
            let what = format!(
                "{path} {kind} {:?}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
            decent(&what, &answer);
            assert!(
                statuses.contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.body
            );
        }
    }
    raw::assert_quiet("bodies");
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_http_costs_its_own_connection_only() {
    let scene = Scene::set().await;
    let stack = &scene.stack;
    let head =
        "POST /webhook/incident-response HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let length = format!("Content-Length: {}\r\n", GOOD.len());
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let size = format!("{:x}\r\n", GOOD.len());
    let many: String = (0..300).map(|n| format!("X-{n}: y\r\n")).collect();
    let none = Duration::ZERO;
    let whole = [&chunked, size.as_str(), GOOD, "\r\n0\r\n\r\n"].concat();
    assert_eq!(
        bytes(stack, &[whole.as_bytes()], none).await,
        Some(202),
        "chunks that are right"
    );
    // A status of 4xx, or nothing but the end.
    for (what, text) in [
        (
            "a chunk's size that is none",
            format!("{chunked}zz\r\n{GOOD}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk's size beyond all",
            format!("{chunked}ffffffffffffffffff\r\n{GOOD}"),
        ),
        (
            "two lengths",
            format!("{head}{length}Content-Length: 3\r\n\r\n{GOOD}"),
        ),
        (
            "a length below zero",
            format!("{head}Content-Length: -1\r\n\r\n{GOOD}"),
        ),
        ("three hundred headers", format!("{head}{many}{length}\r\n{GOOD}")),
        (
            "a header of a megabyte",
            format!("{head}X: {}\r\n{length}\r\n{GOOD}", "h".repeat(1024 * 1024)),
        ),
        (
            "a header without a name",
            format!("{head}: x\r\n{length}\r\n{GOOD}"),
        ),
        ("no HTTP", "\0\u{1}\u{2}\u{3} hello\r\n\r\n".to_owned()),
        ("no version", "GET /healthz\r\n\r\n".to_owned()),
        ("no host", "GET /healthz HTTP/1.1\r\n\r\n".to_owned()),
    ] {
        let status = bytes(stack, &[text.as_bytes()], none).await;
        assert!(
            status.is_none_or(|code| (400..500).contains(&code)),
            "{what}: {status:?}"
        );
    }
    // Twice the same header: the first type counts, as for hyper; it must be an answer.
    let twice = format!("{head}Content-Type: text/html\r\n{length}\r\n{GOOD}");
    let status = bytes(stack, &[twice.as_bytes()], none).await;
    assert!(matches!(status, Some(202 | 415)), "{status:?}");
    // A sender that breaks off in the middle.
    let mut gone = TcpStream::connect(stack.address).await.unwrap();
    let begun = format!("{head}{length}\r\n");
    gone.write_all(begun.as_bytes()).await.unwrap();
    gone.write_all(&GOOD.as_bytes()[..9]).await.unwrap();
    drop(gone);
    // A slow one within the limit is served, one beyond it is told so; others do not wait for them.
    let parts: Vec<&[u8]> = std::iter::once(begun.as_bytes())
        .chain(GOOD.as_bytes().chunks(6))
        .collect();
    let slow = bytes(stack, &parts, Duration::from_millis(60));
    let silent = async {
        let mut stream = TcpStream::connect(stack.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(40), stream.read_exact(&mut answer)).await;
        read.unwrap().unwrap();
        answer
    };
    let others = async {
        for _ in 0..20 {
            assert_eq!(http::send(stack, "GET /healthz HTTP/1.1", b"").await.status, 200);
        }
    };
    let (slow, silent, ()) = tokio::join!(slow, silent, others);
    assert_eq!(slow, Some(202));
    assert_eq!(&silent[9..], b"408");
    let mut client = IncidentServiceClient::new(stack.channel().await);
    let list = client
        .list(v1::ListIncidentsRequest::default())
        .await
        .unwrap()
        .into_inner();
    // `kept` of the scene, and the good one, however often it came.
    assert_eq!(list.incidents.len(), 2, "{list:?}");
    raw::assert_quiet("HTTP");
    scene.assert_whole().await;
}
