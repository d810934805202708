//! The page: what a person sees, and that nothing in it runs.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Reply, Slack};
use serde_json::json;

async fn page(slack: &Slack, path: &str) -> Reply {
    slack.send(slack.http.get(slack.url(path))).await
}

#[tokio::test]
async fn a_room_is_shown_with_blocks_thread_and_pin() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    slack
        .done(
            "conversations.setTopic",
            json!({ "channel": room, "topic": "SEV1: checkout" }),
        )
        .await;
    slack
        .done(
            "conversations.invite",
            json!({ "channel": room, "users": "U08MARIALO1" }),
        )
        .await;
    let blocks = json!([
        { "type": "header", "text": { "type": "plain_text", "text": "Checkout is down" } },
        { "type": "section", "text": { "type": "mrkdwn",
            "text": "*bold* _soft_ `a_b` ~gone~ <https://dash.example/x?a=1&amp;b=2|dash> <@U08MARIALO1> a &lt; b" } },
        { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*Error rate*\n7%" }] },
        { "type": "divider" },
        { "type": "context", "elements": [{ "type": "mrkdwn", "text": "from Datadog" }] },
        { "type": "actions", "elements": [
            { "type": "button", "text": { "type": "plain_text", "text": "Runbook" }, "url": "https://run.example" }] },
    ]);
    let card = slack
        .done(
            "chat.postMessage",
            json!({ "channel": room, "text": "x", "blocks": blocks }),
        )
        .await;
    slack
        .done("pins.add", json!({ "channel": room, "timestamp": card["ts"] }))
        .await;
    let reply =
        json!({ "channel": room, "text": "```log <line>```".replace('<', "&lt;"), "thread_ts": card["ts"] });
    slack.done("chat.postMessage", reply).await;
    let html = page(&slack, "/channels/inc-1").await.text;
    for part in [
        "<h1># inc-1</h1>",
        "SEV1: checkout",
        "<li>maria</li>",
        "<h3>Checkout is down</h3>",
        "<strong>bold</strong> <em>soft</em> <code>a_b</code> <s>gone</s>",
        "href=\"https://dash.example/x?a=1&amp;b=2\">dash</a>",
        "<span class=\"mention\">@maria</span> a &lt; b",
        "<ul class=\"fields\"><li><strong>Error rate</strong>\n7%</li></ul>",
        "<hr>",
        "<p class=\"context\">from Datadog</p>",
        "href=\"https://run.example\">Runbook</a>",
        "Pinned",
        "<section class=\"thread\" aria-label=\"Thread\">",
        "<pre>log &lt;line&gt;</pre>",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    assert!(
        page(&slack, "/").await.text.contains("<h1># inc-1</h1>"),
        "the newest busy room is the home page"
    );
}

#[tokio::test]
async fn hostile_words_stay_words() {
    let slack = Slack::demo().await;
    let room = slack.room("inc-1").await;
    let hostile = "<script>alert(1)</script> \"><img src=x onerror=alert(1)> <javascript:alert(1)|click> \u{202e}rev\u{1b}[31m";
    slack.say(&room, hostile).await;
    slack
        .say(&room, "<https://x.example/\"onmouseover=alert(1)|&lt;b&gt;>")
        .await;
    slack
        .done(
            "conversations.setTopic",
            json!({ "channel": room, "topic": "<img src=x>" }),
        )
        .await;
    let button = json!([{ "type": "actions", "elements": [{ "type": "button",
        "text": { "type": "plain_text", "text": "<i>" }, "url": "javascript:alert(1)" }] }]);
    slack
        .done(
            "chat.postMessage",
            json!({ "channel": room, "text": "x", "blocks": button }),
        )
        .await;
    let reply = page(&slack, "/channels/inc-1").await;
    for bad in [
        "<script",
        "<img",
        "<i>",
        "\"onmouseover",
        "href=\"javascript",
        "\u{202e}",
        "\u{1b}",
    ] {
        assert!(!reply.text.contains(bad), "{bad}");
    }
    assert!(reply.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let csp = reply.header("content-security-policy");
    assert!(
        csp.starts_with("default-src 'none'; style-src 'self'") && !csp.contains("unsafe"),
        "{csp}"
    );
}

#[tokio::test]
async fn unknown_rooms_are_not_found_and_the_style_is_served() {
    let slack = Slack::demo().await;
    let missing = page(&slack, "/channels/%3Cscript%3E").await;
    assert_eq!(missing.status, 404);
    assert!(!missing.text.contains("<script"));
    let style = page(&slack, "/style.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(page(&slack, "/").await.status, 200);
}
