//! Why a body can never become an alert: the sender must change something, sending it again is no use.

use std::fmt;

/// The kind of a refusal, for the status code and for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// No body, or only white space.
    Empty,
    /// The declared content type is not JSON.
    ContentType,
    /// The body is not UTF-8.
    NotUtf8,
    /// The body is not JSON.
    NotJson,
    /// The JSON is nested deeper than 128 levels.
    TooDeep,
    /// The alert that it would become is larger than `limits::ALERT_BYTES`.
    TooLarge,
    /// The JSON is not what this path takes: a field is missing or has another type.
    WrongShape,
}

impl RefusalKind {
    /// The word in the answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::ContentType => "content_type",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::WrongShape => "wrong_shape",
        }
    }

    /// The HTTP status that fits: always 4xx, so that no sender retries.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::ContentType => 415,
            Self::WrongShape => 422,
            Self::Empty | Self::NotUtf8 | Self::NotJson | Self::TooDeep => 400,
        }
    }
}

/// A refusal with its reason in words: which field, what was expected, what was found (a kind, never the value).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The kind.
    pub kind: RefusalKind,
    /// One sentence for the sender.
    pub reason: String,
}

impl Refused {
    pub(crate) fn new(kind: RefusalKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
        }
    }

    pub(crate) fn field(field: &str, expected: &str, found: &str) -> Self {
        Self::new(
            RefusalKind::WrongShape,
            format!("{field}: expected {expected}, found {found}"),
        )
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refused {}
