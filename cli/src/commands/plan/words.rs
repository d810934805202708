//! Numbers and values in words, and the columns that all parts of the page share.

use engine::outlook::Foreseen;
use types::Value;

use crate::{out, text};

/// A page without a terminal.
const COLUMNS: usize = 100;
const COLUMNS_LEAST: usize = 60;
const COLUMNS_MOST: usize = 140;

/// How wide the page is.
pub(super) fn columns() -> usize {
    let asked = out::is_terminal().then(terminal_size::terminal_size).flatten();
    asked.map_or(COLUMNS, |(width, _)| {
        usize::from(width.0).clamp(COLUMNS_LEAST, COLUMNS_MOST)
    })
}

/// A heading.
pub(super) fn heading(words: &str) -> String {
    if out::is_coloured() {
        format!("\n\u{1b}[1m{words}\u{1b}[0m\n")
    } else {
        format!("\n{words}\n")
    }
}

/// A value on one line; what is not known is its expression.
pub(super) fn value(value: &Foreseen) -> String {
    match value {
        Foreseen::Value(Value::String(text)) if is_plain(text) => text.clone(),
        Foreseen::Value(value) => value.to_string(),
        Foreseen::Large(bytes) => format!("({bytes} bytes)"),
        Foreseen::Wrong(why) => format!("has no value: {why}"),
        Foreseen::Later { expression, .. } => expression.clone(),
    }
}

/// Text that needs no quotes to be seen as what it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "@._-/:+".contains(c))
}

/// `one thing`, `two things`.
pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// A list that stays on a few lines.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let more = names.len().saturating_sub(most);
    let mut shown = names[..names.len() - more].join(", ");
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    shown
}

/// `a|b` as people say it.
pub(super) fn scope(scope: &str) -> String {
    scope.replace('|', " or ")
}

/// A label, then text in the rest of the line, broken at spaces below itself.
pub(super) fn labelled(page: &mut String, indent: usize, label: &str, width: usize, words: &str) {
    let start = indent + width + 2;
    let room = columns().saturating_sub(start).max(24);
    let mut lines = wrapped(&text::line(words), room).into_iter();
    let first = lines.next().unwrap_or_default();
    let label = text::pad(&text::line(label), width);
    page.push_str(format!("{}{label}  {first}", " ".repeat(indent)).trim_end());
    page.push('\n');
    for line in lines {
        page.push_str(&format!("{}{line}\n", " ".repeat(start)));
    }
}

/// Lines of at most so many columns; a word that is longer is cut.
fn wrapped(words: &str, columns: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let mut lines: Vec<String> = vec![String::new()];
    for word in words.split(' ') {
        let word = text::fit(word, columns);
        let last = lines.last_mut().expect("it begins with one");
        if last.is_empty() {
            *last = word;
        } else if last.width() + 1 + word.width() <= columns {
            last.push(' ');
            last.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_mistaken_is_quoted() {
        let shown = |text: &str| value(&Foreseen::Value(text.into()));
        assert_eq!(
            [shown("web-1"), shown("a b"), shown(""), shown("\u{1b}[1m")],
            ["web-1", "\"a b\"", "\"\"", "\"\\u001b[1m\""]
        );
    }

    #[test]
    fn lines_break_at_spaces_below_their_start() {
        let mut page = String::new();
        labelled(&mut page, 2, "why", 5, &"word ".repeat(40));
        let lines: Vec<&str> = page.lines().collect();
        assert!(lines.len() > 1 && lines[0].starts_with("  why    word"), "{page}");
        assert!(
            lines[1..].iter().all(|line| line.starts_with("         word")),
            "{page}"
        );
        assert_eq!(list(["a", "b", "c"], 2), "a, b and 1 more");
    }
}
