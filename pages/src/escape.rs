//! The escaper of all templates: HTML's characters become references, and characters that hide or reorder text (see
//! `types::text`) become visible, so that nobody's title can look like something that it is not.

use std::fmt::{self, Write};

use askama::filters::Escaper;
use types::text::is_unsafe;

/// Escapes for text and for quoted attributes. Line breaks and tabs stay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inert;

impl Escaper for Inert {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(special) {
            dest.write_str(&rest[..at])?;
            let c = rest[at..].chars().next().unwrap_or('\u{fffd}');
            dest.write_str(match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                _ => "\u{fffd}",
            })?;
            rest = &rest[at + c.len_utf8()..];
        }
        dest.write_str(rest)
    }
}

fn special(c: char) -> bool {
    matches!(c, '&' | '<' | '>' | '"' | '\'') || (is_unsafe(c) && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        assert!(Inert.write_escaped_str(&mut out, text).is_ok());
        out
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(
            shown("<script>alert('1' & \"2\")</script>"),
            "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;"
        );
    }

    #[test]
    fn what_hides_or_reorders_shows_itself() {
        assert_eq!(
            shown("a\u{202e}b\u{200b}c\u{1b}[2J\r"),
            "a\u{fffd}b\u{fffd}c\u{fffd}[2J\u{fffd}"
        );
        assert_eq!(shown("two\nlines\tand – שלום 👩‍🚒"), "two\nlines\tand – שלום 👩‍🚒");
    }
}
