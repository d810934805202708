//! Names with `*`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name in which `*` stands for any characters, none included. No other character is special.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// From its text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for the whole text. Time is bounded by the product of the two lengths.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        matches(self.0.as_bytes(), text.as_bytes())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Goes back to the last `*` only: what an earlier one took cannot help.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        for (pattern, text) in [
            ("*", ""),
            ("slack/*", "slack/post"),
            ("a*c*e", "abcde"),
            ("a*c*e", "ace"),
            ("*ab", "aab"),
            ("x", "x"),
        ] {
            assert!(Pattern::new(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("slack/*", "slac/post"),
            ("a*c", "abcd"),
            ("", "x"),
            ("x.y", "xzy"),
            ("a?", "ab"),
            ("*ab", "aba"),
        ] {
            assert!(!Pattern::new(pattern).matches(text), "{pattern} {text}");
        }
        // A pattern that is hard for the simple ways of matching.
        assert!(!Pattern::new("*a".repeat(200)).matches(&"a".repeat(199)));
    }
}
