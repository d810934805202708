//! A channel's name from a title: lower-case ASCII letters, digits and `-`, at most 80 characters, the same for
//! the same incident. Rule: <https://docs.slack.dev/reference/methods/conversations.create>.

use unicode_normalization::UnicodeNormalization;

const MAX: usize = 80;
/// Room for `-99` behind a name that is taken.
const SUFFIX: usize = 3;
/// Characters of the reference's end that make a name unique: 40 random bits of an id.
const SHORT: usize = 8;
/// Characters of the alert's own id.
const ID: usize = 28;

/// The end of a reference: what a name carries of it.
pub(crate) fn short(reference: &str) -> String {
    let letters: Vec<char> = reference
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    letters[letters.len().saturating_sub(SHORT)..].iter().collect()
}

/// `inc-{id}-{title}-{short}`; `{stem}-{short}` where a name was asked for.
pub(crate) fn name(stem: Option<&str>, id: &str, title: &str, reference: &str) -> String {
    let short = short(reference);
    let body = match stem.map(slug).filter(|stem| !stem.is_empty()) {
        Some(stem) => stem,
        None => {
            // An id that we made of a hash says nothing to people.
            let id = if id.starts_with("body-") {
                String::new()
            } else {
                cut(&slug(id), ID)
            };
            let title = slug(title);
            let parts = ["inc", &id, &title];
            parts
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join("-")
        }
    };
    let body = cut(&body, MAX - SUFFIX - short.len() - 1);
    if short.is_empty() {
        body
    } else {
        format!("{body}-{short}")
    }
}

/// The `n`th choice, from 1.
pub(crate) fn nth(name: &str, n: u32) -> String {
    if n <= 1 {
        name.to_owned()
    } else {
        format!("{name}-{n}")
    }
}

fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.nfkd().filter(char::is_ascii).map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

fn cut(slug: &str, most: usize) -> String {
    if slug.len() <= most {
        return slug.to_owned();
    }
    let head = &slug[..most];
    // At a word's end, unless that would lose more than a third.
    let end = head.rfind('-').filter(|end| end * 3 > most * 2).unwrap_or(most);
    head[..end].trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_readable_and_bounded() {
        let of = |id: &str, title: &str| name(None, id, title, "inc_01jdabcdefghjkmnpqrs7k2p9qa");
        assert_eq!(
            of("DD-77", "High Memory: Ünïcode API!"),
            "inc-dd-77-high-memory-unicode-api-rs7k2p9qa"[..].replace("rs7k2p9qa", "s7k2p9qa")
        );
        assert_eq!(of("body-0123", "<!channel>"), "inc-channel-s7k2p9qa");
        assert_eq!(of("", "🔥🔥"), "inc-s7k2p9qa");
        assert_eq!(name(Some("My Room"), "x", "y", "run_7"), "my-room-run7");
        assert_eq!(nth("inc-x", 3), "inc-x-3");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_legal_name(id in any::<String>(), title in any::<String>(), stem in prop::option::of(any::<String>())) {
            let name = nth(&name(stem.as_deref(), &id, &title, "inc_01jdabcdefghjkmnpqrs7k2p9qa"), 99);
            prop_assert!(name.len() <= 80 && name.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
        }
    }
}
