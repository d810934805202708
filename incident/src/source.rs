//! Where an alert was posted to. The path decides the source, never the payload: a sender cannot
//! borrow another source's keys.

use std::fmt;

/// An inbound webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `POST /webhook/datadog-incident`.
    Datadog,
    /// `POST /webhook/incident-response`.
    Generic,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Datadog, Self::Generic];

    /// The word in `Alert.source`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Datadog => "datadog",
            Self::Generic => "generic",
        }
    }

    /// The path it is posted to.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Datadog => "/webhook/datadog-incident",
            Self::Generic => "/webhook/incident-response",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
