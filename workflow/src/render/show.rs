//! A definition may hold any text; a terminal must not obey it.

use types::text::is_unsafe;

/// Control characters as their pictures, everything else that steers or hides as U+FFFD.
pub(super) fn visible_char(c: char) -> char {
    match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        c if is_unsafe(c) => '\u{fffd}',
        c => c,
    }
}

/// One line of visible characters.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(visible_char).collect()
}
