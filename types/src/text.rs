//! Text from outside, made harmless for whoever shows it: a terminal or a page. It is the words that are kept, not what
//! steers, hides or reorders them.

use std::borrow::Cow;

use crate::Millis;

/// Characters that steer a terminal, or that hide or reorder what stands around them: control characters (C0, DEL,
/// C1, thus every escape sequence), marks and overrides of direction (as in "Trojan Source", CVE-2021-42574),
/// invisible separators, interlinear annotations, and tags. Line breaks and tabs are among them.
#[must_use]
pub const fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'
        | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// One line: line breaks and tabs become spaces, each unsafe character becomes U+FFFD.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", " ");
    let safe = text.chars().map(|c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_unsafe(c) => '\u{fffd}',
        c => c,
    });
    Cow::Owned(safe.collect())
}

/// One harmless line of at most so many characters; what was cut off is told by `…`.
#[must_use]
pub fn clip(text: &str, chars: usize) -> String {
    let line = line(text);
    match line.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.into_owned(),
    }
}

/// Milliseconds for people: `17 ms`, `2.4 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`.
#[must_use]
pub fn duration(ms: Millis) -> String {
    let (s, min, h) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{s}.{} s", ms % 1_000 / 100),
        60_000..3_600_000 => format!("{min} min {:02} s", s % 60),
        3_600_000..86_400_000 => format!("{h} h {:02} min", min % 60),
        _ => format!("{} d {:02} h", h / 24, h % 24),
    }
}

/// A URL without the user name and the password that it may hold: `http://…@HOST`. All in front of the last `@` goes, for a
/// password that is not encoded may hold a slash.
#[must_use]
pub fn mask_userinfo(url: &str) -> Cow<'_, str> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    match rest.rfind('@') {
        Some(at) => Cow::Owned(format!("{scheme}…{}", &rest[at..])),
        None => Cow::Borrowed(url),
    }
}

#[cfg(test)]
mod tests {
    use super::mask_userinfo;

    #[test]
    fn no_part_of_a_password_is_left() {
        for (url, masked) in [
            ("http://127.0.0.1:7911", "http://127.0.0.1:7911"),
            ("http://ann:pw@host:1/x", "http://…@host:1/x"),
            ("http://ann:p@w/o?r#d@host", "http://…@host"),
            ("ann:pw@host", "…@host"),
        ] {
            assert_eq!(mask_userinfo(url), masked);
        }
    }
}
