//! The web page as a browser meets it.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    http::{Answer, send},
    stack::{ONE, Stack, soon},
};

/// A page as a browser asks for it.
pub(crate) async fn get(stack: &Stack, path: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nAccept: text/html,*/*");
    send(stack, &head, b"").await
}

pub(crate) fn text(answer: &Answer) -> &str {
    answer.body.as_str().unwrap_or_default()
}

const PLACES: [&str; 5] = ["/", "/incidents", "/runs", "/agents", "/workflows"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_place_is_a_whole_page_and_guarded() {
    let stack = Stack::start().await;
    for place in PLACES {
        let page = get(&stack, place).await;
        assert_eq!(page.status, 200, "{place}");
        let html = text(&page);
        assert!(
            html.starts_with("<!doctype html>") && html.contains("</html>"),
            "{place}"
        );
        for header in [
            "content-type: text/html; charset=utf-8",
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: same-origin",
            "cross-origin-opener-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(
                page.head.contains(header),
                "{place} lacks {header}: {}",
                page.head
            );
        }
        for inline in ["<style", "style=\"", "onclick", "<script>", "javascript:"] {
            assert!(!html.contains(inline), "{place} has {inline}");
        }
        assert!(html.contains("aria-current=\"page\""), "{place}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assets_are_kept_for_ever_and_named_by_content() {
    let stack = Stack::start().await;
    let home = get(&stack, "/").await;
    let mut paths: Vec<&str> = text(&home)
        .split('"')
        .filter(|part| part.starts_with("/assets/"))
        .collect();
    paths.dedup();
    assert!(paths.len() >= 3, "{paths:?}");
    for path in paths {
        let asset = send(&stack, &format!("GET {path} HTTP/1.1"), b"").await;
        assert_eq!(asset.status, 200, "{path}");
        assert!(
            asset
                .head
                .contains("cache-control: public, max-age=31536000, immutable"),
            "{}",
            asset.head
        );
        let media = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert!(
            asset.head.contains(&format!("content-type: {media}")),
            "{}",
            asset.head
        );
    }
    let old = send(&stack, "GET /assets/0000000000000000/app.js HTTP/1.1", b"").await;
    assert_eq!(old.status, 404);
    assert!(!old.head.contains("immutable"), "{}", old.head);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_page_that_says_what_and_where_to_go() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    for (path, status, says) in [
        ("/nope/%3Cx%3E", 404, "There is no such page"),
        ("/runs/run_00000000000000000000000000", 404, "there is no run"),
        ("/runs/nonsense", 400, "not a valid id"),
        (
            "/incidents/inc_00000000000000000000000000",
            404,
            "there is no incident",
        ),
        ("/incidents/run_00000000000000000000000000", 400, "not a valid id"),
        ("/workflows/none", 404, "no workflow"),
        ("/runs?outcome=fine", 400, "is not live"),
        ("/runs?page_token=x", 400, "page_token"),
        ("/incidents?state=x", 400, "is not open or resolved"),
        ("/live?after=nonsense", 400, "cursor"),
    ] {
        let page = get(&stack, path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(text(&page).contains(says), "{path}: {}", text(&page));
        assert!(text(&page).contains("href=\"/runs\""), "{path}");
        assert!(page.head.contains("content-security-policy"), "{path}");
    }
    let wrong = get(&stack, "/agents/agt_00000000000000000000000000/undrain").await;
    assert_eq!(wrong.status, 405);
    assert!(wrong.head.contains("allow: post"), "{}", wrong.head);
    assert!(text(&wrong).contains("href=\"/runs\""), "{}", text(&wrong));
    stack.store.unreadable.store(1, Ordering::SeqCst);
    let page = get(&stack, &format!("/runs/{run}")).await;
    assert_eq!(page.status, 503);
    assert!(page.head.contains("retry-after"), "{}", page.head);
    assert_eq!(get(&stack, &format!("/runs/{run}")).await.status, 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_in_the_lists_and_has_a_page() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    for path in ["/", "/runs", "/runs?outcome=live", "/runs?workflow=one"] {
        let page = get(&stack, path).await;
        assert!(text(&page).contains(&format!("href=\"/runs/{run}\"")), "{path}");
    }
    for path in ["/runs?outcome=failed", "/runs?workflow=two"] {
        assert!(!text(&get(&stack, path).await).contains(&run), "{path}");
    }
    let page = get(&stack, &format!("/runs/{run}")).await;
    assert_eq!(page.status, 200);
    assert!(text(&page).contains("id=\"step-only\""));
    stack.stop().await;
}

/// An alert of the generic shape.
async fn alert(stack: &Stack, body: &serde_json::Value) -> serde_json::Value {
    let answer = crate::http::post(stack, "/webhook/incident-response", body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_alerts_are_text_on_every_page() {
    let stack = Stack::start().await;
    let title = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> \u{202e}gnp.exe";
    let body = serde_json::json!({
        "id": "H-1", "title": title, "severity": "high", "hosts": ["<b>h</b>"],
        "links": [{"title": "x", "url": "javascript:alert(1)"}], "tags": ["<i>"],
    });
    let taken = alert(&stack, &body).await;
    let id = taken["incident_id"].as_str().unwrap();
    for path in ["/", "/incidents", &format!("/incidents/{id}")] {
        let page = get(&stack, path).await;
        let html = text(&page);
        assert_eq!(page.status, 200, "{path}");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{path}");
        for never in [
            "<script>alert",
            "<img src=x",
            "href=\"javascript:",
            "\u{202e}",
            "<b>h",
            "<i>",
        ] {
            assert!(!html.contains(never), "{path} has {never}");
        }
    }
    // As it came: byte for byte, and as text that no browser takes for a page.
    let alert = taken["alert_id"].as_str().unwrap();
    let raw = get(&stack, &format!("/incidents/{id}/alerts/{alert}")).await;
    assert_eq!((raw.status, &raw.body["title"]), (200, &title.into()));
    assert!(
        raw.head.contains("content-type: text/plain; charset=utf-8"),
        "{}",
        raw.head
    );
    assert!(
        raw.head.contains("x-content-type-options: nosniff"),
        "{}",
        raw.head
    );
    for (path, status) in [
        (
            format!("/incidents/{id}/alerts/alr_00000000000000000000000000"),
            404,
        ),
        (format!("/incidents/{id}/alerts/nonsense"), 400),
        (
            format!("/incidents/inc_00000000000000000000000000/alerts/{alert}"),
            404,
        ),
    ] {
        assert_eq!(get(&stack, &path).await.status, status, "{path}");
    }
    stack.stop().await;
}

/// Reads a stream's text until it holds the word.
async fn until(stream: &mut tokio::net::TcpStream, word: &str) -> String {
    let mut seen = String::new();
    soon(word, async {
        while !seen.contains(word) {
            let mut chunk = [0; 4096];
            let n = stream.read(&mut chunk).await.unwrap();
            assert!(n > 0, "ended before {word}: {seen}");
            seen.push_str(&String::from_utf8_lossy(&chunk[..n]));
        }
    })
    .await;
    seen
}

async fn stream(stack: &Stack, path: &str, last: Option<&str>) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(stack.address).await.unwrap();
    let last = last
        .map(|id| format!("Last-Event-ID: {id}\r\n"))
        .unwrap_or_default();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{last}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The address of the stream that a page names.
fn live(page: &Answer) -> String {
    let rest = text(page).split("data-live=\"").nth(1).unwrap_or_default();
    rest.split('"').next().unwrap_or_default().replace("&amp;", "&")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_hears_of_what_comes_after_it_and_goes_on_where_it_was() {
    let stack = Stack::start().await;
    let page = get(&stack, "/runs").await;
    // What happens between the page and its stream is not missed.
    let first = stack.start_run(ONE).await;
    let mut hears = stream(&stack, &live(&page), None).await;
    let seen = until(&mut hears, "data: run.started").await;
    assert!(
        seen.to_lowercase().contains("content-type: text/event-stream"),
        "{seen}"
    );
    assert!(seen.contains("event: change"), "{seen}");
    let id = seen
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .next_back()
        .unwrap()
        .to_owned();
    drop(hears);
    let second = stack.start_run(ONE).await;
    // A reconnect says the last id; it stands above what the address says.
    let mut hears = stream(&stack, &live(&page), Some(&id)).await;
    let seen = until(&mut hears, "data: run.started").await;
    assert_eq!(seen.matches("data: run.started").count(), 1, "{seen}");
    assert_ne!(first, second);
    // Of one run only.
    let mut one = stream(&stack, &format!("/live?after={id}&run={first}"), None).await;
    let request = proto::v1::CancelRunRequest {
        run_id: first.clone(),
        reason: String::new(),
    };
    stack.runs().await.cancel(request).await.unwrap();
    let seen = until(&mut one, "data: run.cancel").await;
    assert!(!seen.contains("data: run.started"), "{seen}");
    // The server's end is the stream's end: the browser comes again.
    let stopped = stack.stop();
    let mut rest = Vec::new();
    let ended = async { one.read_to_end(&mut rest).await.is_ok() };
    let (_, ended) = tokio::join!(stopped, soon("the stream's end", ended));
    assert!(ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_agents_hears_of_agents_that_came_since_it_was_made() {
    let stack = Stack::start().await;
    let page = get(&stack, "/agents").await;
    assert!(text(&page).contains("No agent has ever connected"));
    // Between the page and its stream, then while it listens.
    let mut first = crate::agent::Agent::new(1);
    let _first = first.connect(&stack, Vec::new(), 1).await;
    let mut hears = stream(&stack, &live(&page), None).await;
    until(&mut hears, "data: agents").await;
    assert!(text(&get(&stack, "/agents").await).contains(&stack.agents().await[0].id));
    let mut second = crate::agent::Agent::new(2);
    let _second = second.connect(&stack, Vec::new(), 1).await;
    until(&mut hears, "data: agents").await;
    stack.stop().await;
}
