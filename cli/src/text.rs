//! Text from outside, made harmless for a terminal. Whatever was written by another (titles, reasons, names of
//! agents and channels, messages of a server) goes through here before it is shown; bytes of `logs` do not.

use std::borrow::Cow;

use types::text::is_unsafe;
pub(crate) use types::text::{duration, line};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// JSON in which nothing steers a terminal: such characters stand only in its texts, where an escape means the same.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Several lines: as [`line`], with line breaks kept.
pub(crate) fn block(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A harmless line of at most `columns` columns; what is cut shows as `…`.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let text = line(text);
    if text.width() <= columns {
        return text.into_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        cut.push(c);
        used += wide;
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// Filled with spaces up to `columns`; longer text stays as it is.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// An instant for people, to the second: `2026-11-25 10:02:21Z`.
pub(crate) fn instant(at: types::Timestamp) -> String {
    let whole = sdk::rfc3339(at);
    match whole.split_once('.') {
        Some((seconds, _)) => format!("{}Z", seconds.replace('T', " ")),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_comes_through() {
        let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31mred\u{8}\u{0}\u{7f}";
        let shown = line(hostile);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(shown.contains("owned") && shown.contains("red"));
    }

    #[test]
    fn nothing_reorders_or_hides() {
        for c in "\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{feff}\u{2028}\u{e0041}".chars() {
            assert_eq!(line(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
    }

    #[test]
    fn honest_text_is_untouched() {
        for text in [
            "שלום עולם",
            "naïve – 日本語",
            "👩‍🚒 fire",
            "$(rm -rf /) `x` <!channel> \"'",
        ] {
            assert!(matches!(line(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_line_stays_one_line_and_a_block_keeps_its_lines() {
        assert_eq!(line("a\r\nb\tc\rd"), "a b c d");
        assert_eq!(block("a\u{1b}\nb\r\n"), "a\u{fffd}\nb");
    }

    #[test]
    fn cut_to_columns_not_to_bytes() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("日本語日本語", 7), "日本語…");
        assert_eq!(fit("日本", 0), "");
        assert_eq!(fit(&"x".repeat(10_000), 3).width(), 3);
        assert_eq!(pad("日", 4), "日  ");
    }

    #[test]
    fn durations() {
        assert_eq!(
            [17, 2_449, 185_000, 7_620_000, 273_600_000].map(duration),
            ["17 ms", "2.4 s", "3 min 05 s", "2 h 07 min", "3 d 04 h"]
        );
    }
}
