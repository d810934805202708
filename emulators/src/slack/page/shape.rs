//! Blocks as lines of meaning, for whoever shows them: the page and the terminal.

use serde_json::Value;

use crate::slack::render::list;

/// One thing a block shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Header(String),
    Mrkdwn(String),
    Plain(String),
    Field(String),
    Context(String),
    /// Labels, and where they lead.
    Buttons(Vec<(String, Option<String>)>),
    Rule,
}

/// What one block shows, in order.
pub(crate) fn block(block: &Value) -> Vec<Line> {
    match block["type"].as_str().unwrap_or_default() {
        "header" => vec![Line::Header(string(&block["text"]["text"]))],
        "section" => {
            let own = block
                .get("text")
                .map(|text| text_line(text, Line::Mrkdwn, Line::Plain));
            let fields = list(&block["fields"])
                .iter()
                .map(|field| text_line(field, Line::Field, escaped_field));
            let accessory = block
                .get("accessory")
                .and_then(|element| buttons(std::slice::from_ref(element)));
            own.into_iter().chain(fields).chain(accessory).collect()
        }
        "context" => {
            let parts: Vec<String> = list(&block["elements"]).iter().map(context_part).collect();
            vec![Line::Context(parts.join("  "))]
        }
        "actions" => buttons(list(&block["elements"])).into_iter().collect(),
        "divider" => vec![Line::Rule],
        "image" => vec![Line::Plain(format!("[image: {}]", string(&block["alt_text"])))],
        "markdown" => vec![Line::Mrkdwn(string(&block["text"]))],
        "rich_text" => list(&block["elements"])
            .iter()
            .map(|part| Line::Mrkdwn(rich(part)))
            .collect(),
        other => vec![Line::Plain(format!("[{other}]"))],
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A text object: its kind decides whether it is parsed.
fn text_line(text: &Value, mrkdwn: fn(String) -> Line, plain: fn(String) -> Line) -> Line {
    let shown = string(&text["text"]);
    if text["type"] == "mrkdwn" {
        mrkdwn(shown)
    } else {
        plain(shown)
    }
}

/// Plain text, where the line is parsed as `mrkdwn`: escaped, so that it stays plain.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn escaped_field(text: String) -> Line {
    Line::Field(escape(&text))
}

fn context_part(element: &Value) -> String {
    match element["type"].as_str() {
        Some("mrkdwn") => string(&element["text"]),
        Some("image") => escape(&format!("[image: {}]", string(&element["alt_text"]))),
        _ => escape(&string(&element["text"])),
    }
}

fn buttons(elements: &[Value]) -> Option<Line> {
    let buttons: Vec<(String, Option<String>)> = elements
        .iter()
        .map(|element| match element["type"].as_str() {
            Some("image") => (format!("image: {}", string(&element["alt_text"])), None),
            Some("button") => (
                string(&element["text"]["text"]),
                element["url"].as_str().map(str::to_owned),
            ),
            other => (other.unwrap_or_default().to_owned(), None),
        })
        .collect();
    (!buttons.is_empty()).then_some(Line::Buttons(buttons))
}

/// Rich text as `mrkdwn`: its text is plain by definition, so it is escaped.
fn rich(part: &Value) -> String {
    let inner = || list(&part["elements"]).iter().map(rich).collect::<String>();
    match part["type"].as_str().unwrap_or_default() {
        "text" => escape(&string(&part["text"])),
        "link" => {
            let url = string(&part["url"]);
            let label = part["text"].as_str().unwrap_or(&url);
            escape(&if label == url {
                url
            } else {
                format!("{label} ({url})")
            })
        }
        "user" => format!("<@{}>", string(&part["user_id"])),
        "usergroup" => format!("<!subteam^{}>", string(&part["usergroup_id"])),
        "channel" => format!("<#{}>", string(&part["channel_id"])),
        "broadcast" => format!("<!{}>", string(&part["range"])),
        "emoji" => format!(":{}:", string(&part["name"])),
        "rich_text_preformatted" => format!("```{}```", inner()),
        "rich_text_list" => {
            let items: Vec<String> = list(&part["elements"])
                .iter()
                .map(|item| format!("• {}", rich(item)))
                .collect();
            items.join("\n")
        }
        _ => inner(),
    }
}
