//! The stored form of events: kind, version and a JSON body. Never prost: it drops what it does not know.

use serde::Deserialize;
use serde_json::Value;
use workflow::Plan;

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
pub(crate) fn current(kind: &str) -> u32 {
    match kind {
        // 2: the plan's form 2, which leaves out what its steps do not say.
        "run.started" => 2,
        _ => 1,
    }
}

/// Every kind that this build knows.
pub const KINDS: [&str; 28] = [
    "run.started",
    "item.reused",
    "step.reused",
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
    "artifact.stored",
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
    let mut body =
        serde_json::to_value(event).expect("an event has only JSON's parts: maps have text as keys");
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
    let mut value = parse(body).map_err(damaged)?;
    let Value::Object(map) = &mut value else {
        return Err(damaged("not an object".to_owned()));
    };
    map.insert("kind".to_owned(), Value::String(kind.to_owned()));
    let mut event = serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
    if let (Event::RunStarted(first), 1) = (&mut event, version) {
        // It wrote out what is left out today, which reads as the same.
        first.plan.format = Plan::FORMAT;
    }
    Ok(event)
}

/// How deep a body may be nested. An alert or an input of a request comes through serde_json's own limit of 128; in
/// an event it lies some levels deeper, which that limit would refuse for ever.
const DEPTH: usize = 192;

fn parse(body: &str) -> Result<Value, String> {
    if depth(body) > DEPTH {
        return Err(format!("nested deeper than {DEPTH}"));
    }
    let mut json = serde_json::Deserializer::from_str(body);
    json.disable_recursion_limit();
    let value = Value::deserialize(&mut json).map_err(|e| e.to_string())?;
    json.end().map_err(|e| e.to_string())?;
    Ok(value)
}

/// The deepest nesting of a JSON text.
fn depth(json: &str) -> usize {
    let (mut now, mut most) = (0usize, 0usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !in_text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}
