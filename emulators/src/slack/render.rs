//! A channel as plain terminal lines: what a responder sees, with nothing in it that steers a terminal.

use serde_json::Value;
use unicode_width::UnicodeWidthChar;

use super::{
    mrkdwn::{self, Span},
    page::shape::{self, Line},
};

/// Control characters, and the ones that reorder or hide text: never shown as they are.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Renders one channel of `GET /_emulator/state` in lines of at most `width` columns (20 at least).
///
/// Pure. Control characters become U+FFFD, entities are unescaped, and mentions show as names.
pub fn render(channel: &Value, width: usize) -> Vec<String> {
    let mut out = Lines {
        width: width.max(20),
        lines: Vec::new(),
    };
    let field = |key: &str| channel.get(key).and_then(Value::as_str).unwrap_or_default();
    let people = &channel["people"];
    let flag = |key: &str| channel[key].as_bool().unwrap_or(false);
    let lock = if flag("is_private") { "(private) " } else { "" };
    let archived = if flag("is_archived") { " (archived)" } else { "" };
    out.put("", &format!("{lock}#{}{archived}", field("name")));
    let topic = channel["topic"]["value"].as_str().unwrap_or_default();
    if !topic.is_empty() {
        out.put("  topic: ", &plain(topic, people));
    }
    let members = list(&channel["members"]);
    let names: Vec<String> = members
        .iter()
        .filter_map(Value::as_str)
        .map(|id| name_of(people, id))
        .collect();
    out.put("  members: ", &format!("{} ({})", names.join(", "), names.len()));
    for bookmark in list(&channel["bookmarks"]) {
        let part = |key: &str| bookmark[key].as_str().unwrap_or_default();
        out.put("  bookmark: ", &format!("{} ({})", part("title"), part("link")));
    }
    for message in list(&channel["messages"]) {
        out.lines.push(String::new());
        out.message(message, people, "");
        for reply in list(&message["replies"]) {
            out.message(reply, people, "  | ");
        }
    }
    out.lines
}

/// An array's items; none for anything else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The name behind an id, or the id.
pub(crate) fn name_of(people: &Value, id: &str) -> String {
    people.get(id).and_then(Value::as_str).unwrap_or(id).to_owned()
}

/// `mrkdwn` as people read it.
fn plain(text: &str, people: &Value) -> String {
    let parts = mrkdwn::spans(text).into_iter().map(|span| match span {
        Span::Text(run) => mrkdwn::unescape(run).into_owned(),
        Span::Entity(entity) => mrkdwn::shown(&entity, |id| people.get(id).and_then(Value::as_str)),
    });
    parts.collect()
}

/// The clock time of a `ts`, in UTC.
pub(crate) fn clock(ts: &str) -> String {
    let seconds: u64 = ts
        .split('.')
        .next()
        .and_then(|part| part.parse().ok())
        .unwrap_or_default();
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

struct Lines {
    width: usize,
    lines: Vec<String>,
}

impl Lines {
    fn message(&mut self, message: &Value, people: &Value, indent: &str) {
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
        let author = message.get("username").and_then(Value::as_str).map(str::to_owned);
        let author = author.unwrap_or_else(|| name_of(people, text("user")));
        let flag = |key: &str| message[key].as_bool().unwrap_or(false);
        let pinned = if flag("pinned") { " [pinned]" } else { "" };
        let edited = if message.get("edited").is_some() {
            " (edited)"
        } else {
            ""
        };
        self.put(
            indent,
            &format!("{}  {author}{pinned}{edited}", clock(text("ts"))),
        );
        let inner = format!("{indent}  ");
        let blocks = list(&message["blocks"]);
        if blocks.is_empty() {
            return self.put(&inner, &plain(text("text"), people));
        }
        for line in blocks.iter().flat_map(shape::block) {
            match line {
                Line::Rule => self.put(
                    &inner,
                    &"-".repeat(self.width.saturating_sub(inner.len()).min(40)),
                ),
                Line::Header(text) => self.put(&inner, &format!("## {text}")),
                Line::Mrkdwn(text) => self.put(&inner, &plain(&text, people)),
                Line::Plain(text) => self.put(&inner, &text),
                Line::Field(text) => self.put(&format!("{inner}- "), &plain(&text, people)),
                Line::Context(text) => self.put(&format!("{inner}~ "), &plain(&text, people)),
                Line::Buttons(buttons) => {
                    let shown: Vec<String> = buttons
                        .into_iter()
                        .map(|(label, _)| format!("[ {label} ]"))
                        .collect();
                    self.put(&inner, &shown.join(" "));
                }
            }
        }
    }

    /// Adds text, made harmless and wrapped; later lines are indented as far as the first.
    fn put(&mut self, prefix: &str, text: &str) {
        let room = self.width.saturating_sub(prefix.chars().count()).max(8);
        let mut first = true;
        for line in text.split('\n') {
            let safe: String = line
                .chars()
                .map(|c| match c {
                    '\t' => ' ',
                    c if is_unsafe(c) => '\u{fffd}',
                    c => c,
                })
                .collect();
            for piece in wrap(&safe, room) {
                // A thread's bar goes on; bullets and labels do not.
                let bar = |c| if c == '|' { '|' } else { ' ' };
                let lead: String = if first {
                    prefix.to_owned()
                } else {
                    prefix.chars().map(bar).collect()
                };
                self.lines.push(format!("{lead}{piece}").trim_end().to_owned());
                first = false;
            }
        }
    }
}

/// Cuts text into pieces of at most `room` columns, at spaces where it can.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let width: usize = word.trim_end().chars().filter_map(UnicodeWidthChar::width).sum();
        if used > 0 && used + width > room {
            pieces.push(std::mem::take(&mut piece));
            used = 0;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > room {
                pieces.push(std::mem::take(&mut piece));
                used = 0;
                if c == ' ' {
                    continue;
                }
            }
            piece.push(c);
            used += wide;
        }
    }
    if !piece.is_empty() || pieces.is_empty() {
        pieces.push(piece);
    }
    pieces
}
