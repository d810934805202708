//! A message on the page: author, time, blocks, and its thread nested under it.

use serde_json::Value;

use super::{
    format,
    shape::{self, Line},
};
use crate::slack::{
    html::Html,
    render::{clock, list, name_of},
};

/// Writes a message with its replies.
pub(super) fn message(html: &mut Html, message: &Value, people: &Value) {
    let text = |key: &str| message[key].as_str().unwrap_or_default();
    let system = message
        .get("subtype")
        .is_some_and(|subtype| subtype != "thread_broadcast");
    html.raw(if system {
        "<article class=\"system\" id=\""
    } else {
        "<article id=\""
    });
    html.text(text("ts")).raw("\"><h2>");
    html.text(
        &message["username"]
            .as_str()
            .map_or_else(|| name_of(people, text("user")), str::to_owned),
    );
    if message.get("bot_id").is_some() {
        html.raw(" <span class=\"app\">App</span>");
    }
    html.raw(" <time>").text(&clock(text("ts"))).raw(" UTC</time>");
    if message["pinned"] == true {
        html.raw(" <span class=\"pin\">📌 Pinned</span>");
    }
    if message.get("edited").is_some() {
        html.raw(" <span class=\"edited\">(edited)</span>");
    }
    html.raw("</h2>");
    let blocks = list(&message["blocks"]);
    if blocks.is_empty() {
        html.raw("<div class=\"text\">");
        format::mrkdwn(html, text("text"), people);
        html.raw("</div>");
    }
    for block in blocks {
        lines(html, shape::block(block), people);
    }
    for file in list(&message["files"]) {
        let name = file["name"].as_str().unwrap_or_default();
        html.raw("<p class=\"context\">📎 ").text(name);
        html.raw(" · ")
            .text(&format!("{} bytes", file["size"]))
            .raw("</p>");
    }
    notified(html, message, people);
    let replies = list(&message["replies"]);
    if !replies.is_empty() {
        html.raw("<section class=\"thread\" aria-label=\"Thread\">");
        for reply in replies {
            self::message(html, reply, people);
        }
        html.raw("</section>");
    }
    html.raw("</article>");
}

fn lines(html: &mut Html, lines: Vec<Line>, people: &Value) {
    let mut in_fields = false;
    for line in lines {
        if in_fields != matches!(line, Line::Field(_)) {
            html.raw(if in_fields {
                "</ul>"
            } else {
                "<ul class=\"fields\">"
            });
            in_fields = !in_fields;
        }
        match line {
            Line::Rule => {
                html.raw("<hr>");
            }
            Line::Header(text) => {
                html.raw("<h3>").text(&text).raw("</h3>");
            }
            Line::Plain(text) => {
                html.raw("<div class=\"text\">").text(&text).raw("</div>");
            }
            Line::Mrkdwn(text) => wrapped(html, "<div class=\"text\">", &text, people, "</div>"),
            Line::Field(text) => wrapped(html, "<li>", &text, people, "</li>"),
            Line::Context(text) => wrapped(html, "<p class=\"context\">", &text, people, "</p>"),
            Line::Buttons(buttons) => {
                html.raw("<p class=\"actions\">");
                for (label, url) in buttons {
                    html.raw("<span class=\"button\">");
                    match url {
                        Some(url) => format::link(html, &url, &label),
                        None => {
                            html.text(&label);
                        }
                    }
                    html.raw("</span> ");
                }
                html.raw("</p>");
            }
        }
    }
    if in_fields {
        html.raw("</ul>");
    }
}

fn wrapped(html: &mut Html, open: &'static str, text: &str, people: &Value, close: &'static str) {
    html.raw(open);
    format::mrkdwn(html, text, people);
    html.raw(close);
}

/// Who was paged by the message: the thing a reader of the emulator most wants to know.
fn notified(html: &mut Html, message: &Value, people: &Value) {
    let ids = list(&message["notified"]);
    if ids.is_empty() {
        return;
    }
    html.raw("<p class=\"notified\">Notifies ");
    for (n, id) in ids.iter().filter_map(Value::as_str).enumerate() {
        let name = id
            .strip_prefix('!')
            .map_or_else(|| name_of(people, id), str::to_owned);
        html.raw(if n == 0 { "@" } else { ", @" }).text(&name);
    }
    html.raw("</p>");
}
