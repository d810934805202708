//! The stored form of events: kind, version and a JSON body. Never prost: it drops what it does not know.

use serde_json::Value;

use crate::Event;

/// An event's stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// `step.ended`, …
    pub kind: String,
    /// The form of the body.
    pub version: u32,
    /// JSON text of an object, without the kind.
    pub body: String,
}

/// Why an event cannot be read. It is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A newer version wrote it.
    #[error(
        "event {kind:?} version {version} is newer than this build knows: update Firehall to read this run"
    )]
    Unknown {
        /// Its kind.
        kind: String,
        /// Its version.
        version: u32,
    },
    /// It is damaged.
    #[error("event {kind:?} version {version} is damaged: {why}")]
    Damaged {
        /// Its kind.
        kind: String,
        /// Its version.
        version: u32,
        /// What is wrong.
        why: String,
    },
}

/// The version that this build writes of a kind.
const fn current(_kind: &str) -> u32 {
    1
}

/// Every kind that this build knows.
pub const KINDS: [&str; 25] = [
    "run.started",
    "step.skipped",
    "step.omitted",
    "step.not_run",
    "step.fanned_out",
    "step.following",
    "step.batch",
    "item.refused",
    "attempt.queued",
    "attempt.offered",
    "attempt.returned",
    "attempt.accepted",
    "attempt.started",
    "attempt.finished",
    "attempt.lost",
    "attempt.settled",
    "attempt.withdrawn",
    "attempt.stopping",
    "attempt.not_placed",
    "attempt.retry_scheduled",
    "report.ignored",
    "item.ended",
    "step.ended",
    "run.cancel_requested",
    "run.ended",
];

/// To the stored form.
#[must_use]
pub fn write(event: &Event) -> Stored {
    let kind = event.kind();
    let mut body = serde_json::to_value(event).unwrap_or_default();
    if let Value::Object(map) = &mut body {
        map.remove("kind");
    }
    Stored {
        kind: kind.to_owned(),
        version: current(kind),
        body: body.to_string(),
    }
}

/// From the stored form, old versions raised to today's.
///
/// # Errors
/// What this build does not know, or what is damaged.
pub fn read(kind: &str, version: u32, body: &str) -> Result<Event, HistoryError> {
    if !KINDS.contains(&kind) || version == 0 || version > current(kind) {
        return Err(HistoryError::Unknown {
            kind: kind.to_owned(),
            version,
        });
    }
    let damaged = |why: String| HistoryError::Damaged {
        kind: kind.to_owned(),
        version,
        why,
    };
    let mut value: Value = serde_json::from_str(body).map_err(|e| damaged(e.to_string()))?;
    let Value::Object(map) = &mut value else {
        return Err(damaged("not an object".to_owned()));
    };
    map.insert("kind".to_owned(), Value::String(kind.to_owned()));
    serde_json::from_value(value).map_err(|e| damaged(e.to_string()))
}
