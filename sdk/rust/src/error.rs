//! What can go wrong between a client and a server.

use tonic::{Code, Status};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's URL is none that this client can use.
    #[error("not a server's URL: {url:?} ({reason}); write it as http://HOST:PORT")]
    Url {
        /// What was given.
        url: String,
        /// Why not.
        reason: String,
    },
    /// No server answers there, or it went away.
    #[error("no Firehall server answers at {url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// The system's words.
        reason: String,
    },
    /// The server refuses.
    #[error("{message}")]
    Refused {
        /// What kind of refusal.
        kind: Refusal,
        /// The server's words.
        message: String,
    },
    /// The answer is none that this client understands.
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
}

/// Kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request is wrong: a definition with errors, an input of another type, a malformed id.
    Invalid,
    /// No such thing.
    NotFound,
    /// The idempotency key was used with another request.
    AlreadyExists,
    /// Not in this state.
    Precondition,
    /// Not for this caller.
    Denied,
    /// Too much, too fast, or the reader was too slow.
    Exhausted,
    /// What was asked for is no longer kept.
    Gone,
    /// The server failed.
    Internal,
}

impl Error {
    pub(crate) fn from_status(url: &str, status: &Status) -> Self {
        let kind = match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                return Self::Unreachable {
                    url: url.to_owned(),
                    reason: status.message().to_owned(),
                };
            }
            // A connection that breaks in the middle of an answer comes as Unknown, with the transport's error.
            Code::Unknown if std::error::Error::source(status).is_some() => {
                return Self::Unreachable {
                    url: url.to_owned(),
                    reason: status.message().to_owned(),
                };
            }
            Code::InvalidArgument => Refusal::Invalid,
            Code::NotFound => Refusal::NotFound,
            Code::AlreadyExists => Refusal::AlreadyExists,
            Code::FailedPrecondition | Code::Aborted => Refusal::Precondition,
            Code::Unauthenticated | Code::PermissionDenied => Refusal::Denied,
            Code::ResourceExhausted => Refusal::Exhausted,
            Code::OutOfRange => Refusal::Gone,
            _ => Refusal::Internal,
        };
        let message = match status.message() {
            "" => format!("the server refused without a reason ({:?})", status.code()),
            message => message.to_owned(),
        };
        Self::Refused { kind, message }
    }

    /// Whether trying again later may help without any change to the request.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// The kind of refusal, when it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { kind, .. } => Some(*kind),
            _ => None,
        }
    }
}
