//! Templates as they are written in a definition.

use serde_json::Value;
use types::Object;

use crate::Template;

/// As a value with `${{ }}` in its texts.
pub(super) fn written(template: &Template) -> Value {
    match template {
        Template::Literal(value) => value.clone(),
        Template::Expr(expr) => format!("${{{{ {} }}}}", expr.0).into(),
        Template::Concat(parts) => parts.iter().map(part).collect::<String>().into(),
        Template::List(items) => items.iter().map(written).collect(),
        Template::Map(entries) => {
            let entries = entries.iter().map(|(key, item)| (key.clone(), written(item)));
            Value::Object(entries.collect::<Object>())
        }
    }
}

fn part(template: &Template) -> String {
    match written(template) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// In one line of at most the given characters.
pub(super) fn line(template: &Template, most: usize) -> String {
    short(&part(template), most)
}

/// The first line, of at most the given characters; what is left out shows as `…`.
pub(super) fn short(text: &str, most: usize) -> String {
    let text = text.trim();
    let first = text.lines().next().unwrap_or_default();
    let mut kept: String = first.chars().take(most).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}
