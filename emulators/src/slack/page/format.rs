//! `mrkdwn` as HTML: bold, italic, strike, code, fences, links and mentions.

use serde_json::Value;

use crate::slack::{
    html::Html,
    mrkdwn::{self, Entity},
};

/// How deep styles may nest; deeper marks are shown as they are.
const DEPTH: u8 = 4;

/// Writes a link, when it leads to a web page; else its text.
pub(super) fn link(html: &mut Html, url: &str, label: &str) {
    if ["http://", "https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        html.raw("<a rel=\"noopener noreferrer nofollow\" href=\"")
            .text(url)
            .raw("\">")
            .text(label)
            .raw("</a>");
    } else {
        html.text(label);
    }
}

/// Writes `mrkdwn` text.
pub(super) fn mrkdwn(html: &mut Html, text: &str, people: &Value) {
    styled(html, text, people, DEPTH);
}

fn styled(html: &mut Html, text: &str, people: &Value, depth: u8) {
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let used = entity(html, rest, people)
            .or_else(|| fence(html, rest, people))
            .or_else(|| style(html, rest, before, people, depth))
            .unwrap_or_else(|| {
                let run = rest[c.len_utf8()..].find(['<', '`', '*', '_', '~']);
                let end = run.map_or(rest.len(), |at| at + c.len_utf8());
                html.text(&mrkdwn::unescape(&rest[..end]));
                end
            });
        before = rest[..used].chars().next_back();
        rest = &rest[used..];
    }
}

/// An entity at the start; its length.
fn entity(html: &mut Html, text: &str, people: &Value) -> Option<usize> {
    let (entity, length) = mrkdwn::entity_at(text)?;
    let shown = mrkdwn::shown(&entity, |id| people.get(id).and_then(Value::as_str));
    match entity {
        Entity::Link { url, label } => {
            let url = mrkdwn::unescape(url);
            link(
                html,
                &url,
                &label.map_or_else(|| shown.as_str().into(), mrkdwn::unescape),
            );
        }
        Entity::Other { .. } => {
            html.text(&shown);
        }
        Entity::Broadcast(_) => {
            html.raw("<span class=\"mention all\">")
                .text(&shown)
                .raw("</span>");
        }
        Entity::User { .. } | Entity::Group { .. } | Entity::Channel { .. } => {
            html.raw("<span class=\"mention\">").text(&shown).raw("</span>");
        }
    }
    Some(length)
}

/// A code fence or span at the start; its length. Entities inside stay entities.
fn fence(html: &mut Html, text: &str, people: &Value) -> Option<usize> {
    let (mark, open, close) = if text.starts_with("```") {
        ("```", "<pre>", "</pre>")
    } else {
        ("`", "<code>", "</code>")
    };
    let inner = text.strip_prefix(mark)?;
    let end = inner
        .find(mark)
        .filter(|end| *end > 0 && (mark.len() == 3 || !inner[..*end].contains('\n')))?;
    html.raw(open);
    let mut rest = inner[..end].trim_matches('\n');
    while !rest.is_empty() {
        let used = entity(html, rest, people).unwrap_or_else(|| {
            let skip = rest.chars().next().map_or(0, char::len_utf8);
            let end = rest[skip..].find('<').map_or(rest.len(), |at| at + skip);
            html.text(&mrkdwn::unescape(&rest[..end]));
            end
        });
        rest = &rest[used..];
    }
    html.raw(close);
    Some(mark.len() * 2 + end)
}

/// A styled run at the start, between marks at the edges of words; its length.
fn style(html: &mut Html, text: &str, before: Option<char>, people: &Value, depth: u8) -> Option<usize> {
    let (mark, open, close) = match text.chars().next()? {
        '*' => ('*', "<strong>", "</strong>"),
        '_' => ('_', "<em>", "</em>"),
        '~' => ('~', "<s>", "</s>"),
        _ => return None,
    };
    if depth == 0 || before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let inner = &text[1..];
    let line = &inner[..inner.find('\n').unwrap_or(inner.len())];
    let ends = |at: &usize| {
        let after = line[*at + 1..].chars().next();
        *at > 0 && !line[..*at].ends_with(' ') && !after.is_some_and(char::is_alphanumeric)
    };
    if line.starts_with(' ') {
        return None;
    }
    let end = line.match_indices(mark).map(|(at, _)| at).find(ends)?;
    html.raw(open);
    styled(html, &line[..end], people, depth - 1);
    html.raw(close);
    Some(end + 2)
}
