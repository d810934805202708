//! The web page as a browser meets it.

use std::sync::atomic::Ordering;

use crate::{
    http::{Answer, send},
    stack::{ONE, Stack},
};

/// A page as a browser asks for it.
async fn get(stack: &Stack, path: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nAccept: text/html,*/*");
    send(stack, &head, b"").await
}

fn text(answer: &Answer) -> &str {
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
