//! The workspace as a person would see it: a channel list and one channel. No scripts.

mod format;
mod message;
pub(crate) mod shape;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    html::Html,
    render::{list, name_of},
    server::Shared,
    snapshot,
};

/// Nothing but the emulator's own style sheet.
const CSP: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /style.css`.
pub(crate) async fn style() -> Response {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("style.css"),
    )
        .into_response()
}

/// `GET /`: the newest channel in which something was said, else the first.
pub(crate) async fn home(State(shared): State<Arc<Shared>>) -> Response {
    let state = snapshot::workspace(&shared.live().ws);
    let channels = list(&state["channels"]);
    let busy = |channel: &&Value| !list(&channel["messages"]).is_empty();
    let shown = channels.iter().rev().find(busy).or(channels.first());
    respond(StatusCode::OK, &state, shown)
}

/// `GET /channels/{name}`.
pub(crate) async fn channel(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let state = snapshot::workspace(&shared.live().ws);
    let shown = list(&state["channels"])
        .iter()
        .find(|channel| channel["name"] == name.as_str());
    let status = if shown.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    respond(status, &state, shown)
}

fn respond(status: StatusCode, state: &Value, shown: Option<&Value>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, document(state, shown)).into_response()
}

/// The whole page.
fn document(state: &Value, shown: Option<&Value>) -> String {
    let mut html = Html::default();
    let team = state["team"]["name"].as_str().unwrap_or_default();
    let name = shown.and_then(|channel| channel["name"].as_str());
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<link rel=\"stylesheet\" href=\"/style.css\"><title>");
    html.text(name.unwrap_or("Not found"))
        .raw(" · ")
        .text(team)
        .raw(" (Slack emulator)</title></head><body>");
    html.raw("<nav aria-label=\"Channels\"><p class=\"team\">")
        .text(team);
    html.raw("</p><p class=\"note\">Slack emulator</p><ul>");
    for channel in list(&state["channels"]) {
        entry(&mut html, channel, channel["name"].as_str() == name);
    }
    html.raw("</ul></nav><main>");
    match shown {
        Some(channel) => body(&mut html, channel),
        None => {
            html.raw("<h1>No such channel</h1><p>Choose one from the list.</p>");
        }
    }
    html.raw("</main></body></html>");
    html.finish()
}

fn mark(channel: &Value) -> &'static str {
    if channel["is_private"] == true {
        "🔒 "
    } else {
        "# "
    }
}

fn entry(html: &mut Html, channel: &Value, current: bool) {
    let name = channel["name"].as_str().unwrap_or_default();
    html.raw("<li><a href=\"/channels/").text(name).raw("\"");
    if current {
        html.raw(" aria-current=\"page\"");
    }
    if channel["is_archived"] == true {
        html.raw(" class=\"archived\"");
    }
    html.raw(">").raw(mark(channel)).text(name).raw("</a></li>");
}

fn body(html: &mut Html, channel: &Value) {
    let people = &channel["people"];
    html.raw("<header><h1>")
        .raw(mark(channel))
        .text(channel["name"].as_str().unwrap_or_default());
    html.raw("</h1>");
    if channel["is_archived"] == true {
        html.raw("<p class=\"badge\">Archived</p>");
    }
    if let Some(topic) = channel["topic"]["value"]
        .as_str()
        .filter(|topic| !topic.is_empty())
    {
        html.raw("<p class=\"topic\">");
        format::mrkdwn(html, topic, people);
        html.raw("</p>");
    }
    html.raw("<ul class=\"members\" aria-label=\"Members\">");
    for id in list(&channel["members"]).iter().filter_map(Value::as_str) {
        html.raw("<li>").text(&name_of(people, id)).raw("</li>");
    }
    html.raw("</ul>");
    for bookmark in list(&channel["bookmarks"]) {
        html.raw("<p class=\"bookmark\">🔖 ");
        let part = |key: &str| bookmark[key].as_str().unwrap_or_default();
        format::link(html, part("link"), part("title"));
        html.raw("</p>");
    }
    html.raw("</header>");
    if list(&channel["messages"]).is_empty() {
        html.raw("<p class=\"empty\">Nothing was said here yet.</p>");
    }
    for one in list(&channel["messages"]) {
        message::message(html, one, people);
    }
}
