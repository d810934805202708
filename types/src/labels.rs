//! Labels of agents: a set of `key=value` pairs, in which a key may occur more than once (`host=a`, `host=b`).

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One `key=value` pair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    /// `[a-z][a-z0-9_.-]*`, at most 63 characters.
    pub key: String,
    /// Printable, without white space, 1 to 253 characters.
    pub value: String,
}

/// Why a text is no label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelError(String);

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a label: {:?} (expected key=value, key [a-z][a-z0-9_.-]*, value without spaces)",
            self.0
        )
    }
}

impl std::error::Error for LabelError {}

impl FromStr for Label {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Self, LabelError> {
        let wrong = || LabelError(text.chars().take(80).collect());
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let key_ok = key.len() <= 63
            && key.starts_with(|c: char| c.is_ascii_lowercase())
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c));
        let value_ok = (1..=253).contains(&value.len()) && value.chars().all(|c| c.is_ascii_graphic());
        if key_ok && value_ok {
            Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// The labels of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeSet<Label>);

impl Labels {
    /// Whether the pair is among them.
    #[must_use]
    pub fn has(&self, key: &str, value: &str) -> bool {
        self.0
            .iter()
            .any(|label| label.key == key && label.value == value)
    }
}

/// A well-formed host name as a label's value: RFC 1123 labels joined by dots, at most 253 characters.
#[must_use]
pub fn is_host_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|part| {
            (1..=63).contains(&part.len())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !part.starts_with('-')
                && !part.ends_with('-')
        })
}
