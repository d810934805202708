//! What can go wrong between a client and a server.

use prost::Message;
use tonic::{Code, Status};

use crate::DiagnosticView;

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
    /// The server is there and cannot do it now: its disk is full, it is about to end.
    #[error("the server at {url} cannot do this now: {reason}")]
    NotNow {
        /// Where.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// The server refuses.
    #[error("{message}")]
    Refused {
        /// What kind of refusal.
        kind: Refusal,
        /// The server's words.
        message: String,
        /// What is wrong where, as far as the server says so.
        details: Details,
    },
    /// The answer is none that this client understands.
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
}

/// What a refusal says beside its words: `google.rpc.BadRequest` and `firehall.v1.DefinitionErrors` of the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Fields of the request that are wrong, each with the reason; in the server's order.
    pub fields: Vec<Violation>,
    /// Every error of the definition.
    pub definition: Vec<DiagnosticView>,
}

/// A field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its path: `inputs_json.severity`.
    pub field: String,
    /// Why.
    pub reason: String,
}

impl Details {
    /// Reads what it knows and passes over the rest: details of a newer server, or none.
    fn of(status: &Status) -> Self {
        let mut details = Self::default();
        let Ok(rich) = tonic_types::Status::decode(status.details()) else {
            return details;
        };
        for any in rich.details {
            // The type's name is what follows the last slash.
            match any.type_url.rsplit('/').next() {
                Some("google.rpc.BadRequest") => {
                    let bad = tonic_types::pb::BadRequest::decode(&*any.value).unwrap_or_default();
                    let fields = bad.field_violations.into_iter().map(|one| Violation {
                        field: one.field,
                        reason: one.description,
                    });
                    details.fields.extend(fields);
                }
                Some("firehall.v1.DefinitionErrors") => {
                    let errors = proto::v1::DefinitionErrors::decode(&*any.value).unwrap_or_default();
                    let errors = errors.diagnostics.into_iter().map(DiagnosticView::from_wire);
                    details.definition.extend(errors);
                }
                _ => {}
            }
        }
        details
    }
}

/// `google.rpc.RetryInfo`: every UNAVAILABLE of a Firehall server has it.
fn says_when_to_retry(status: &Status) -> bool {
    tonic_types::Status::decode(status.details()).is_ok_and(|rich| {
        rich.details
            .iter()
            .any(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))
    })
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
            // A server that is not there says nothing of when to come again.
            Code::Unavailable if says_when_to_retry(status) => {
                return Self::NotNow {
                    url: url.to_owned(),
                    reason: status.message().to_owned(),
                };
            }
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
        let details = Details::of(status);
        Self::Refused {
            kind,
            message,
            details,
        }
    }

    /// The same, with how long was waited for the server before it was given up.
    pub(crate) fn after(self, waited: std::time::Duration) -> Self {
        match self {
            Self::Unreachable { url, reason } => Self::Unreachable {
                url,
                reason: format!("{reason}; given up after {waited:?}"),
            },
            other => other,
        }
    }

    /// What is wrong where, when it is a refusal.
    #[must_use]
    pub const fn details(&self) -> Option<&Details> {
        match self {
            Self::Refused { details, .. } => Some(details),
            _ => None,
        }
    }

    /// Whether trying again later may help without any change to the request.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NotNow { .. })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn details_are_typed_and_unknown_ones_are_passed_over() {
        let mut of = ErrorDetails::with_bad_request_violation("inputs_json.n", "expected int");
        of.add_help_link("docs", "http://x");
        let status = Status::with_error_details(Code::InvalidArgument, "wrong", of);
        let mut rich = tonic_types::Status::decode(status.details()).unwrap();
        let errors = proto::v1::DefinitionErrors {
            diagnostics: vec![proto::v1::Diagnostic {
                code: "FH0201".into(),
                line: 3,
                ..Default::default()
            }],
        };
        rich.details.push(prost_types::Any {
            type_url: "type.googleapis.com/firehall.v1.DefinitionErrors".into(),
            value: errors.encode_to_vec(),
        });
        let status = Status::with_details(Code::InvalidArgument, "wrong", rich.encode_to_vec().into());
        let error = Error::from_status("http://x", &status);
        let details = error.details().unwrap();
        assert_eq!(details.fields[0].field, "inputs_json.n");
        assert_eq!(details.fields[0].reason, "expected int");
        assert_eq!(
            (&*details.definition[0].code, details.definition[0].line),
            ("FH0201", 3)
        );
        let bare = Error::from_status(
            "http://x",
            &Status::with_details(Code::NotFound, "no", b"junk".to_vec().into()),
        );
        assert_eq!(bare.details(), Some(&Details::default()));
    }
}
