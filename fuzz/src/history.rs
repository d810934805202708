//! Stored events, of runs and of incidents: what is read is written again as it was read; what is newer or damaged is
//! refused by name. The input is a file as in `engine/tests/golden`: `{"kind": …, "version": …, "body": …}`.

use engine::history::{self, HistoryError};
use incident::{IncidentEvent, LoadError};
use serde_json::Value;

/// # Panics
/// When a property does not hold.
pub fn check(data: &[u8]) {
    let Ok(whole) = serde_json::from_slice::<Value>(data) else {
        // Not even JSON: as the body of a kind that exists.
        if let Ok(body) = std::str::from_utf8(data) {
            of_run("run.started", 1, body);
        }
        return;
    };
    let kind = whole["kind"].as_str().unwrap_or("step.ended");
    let version = whole["version"].as_u64().unwrap_or(1);
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    of_run(kind, version, &whole["body"].to_string());
    of_incident(kind, version, &whole["body"]);
}

fn of_run(kind: &str, version: u32, body: &str) {
    let event = match history::read(kind, version, body) {
        Ok(event) => event,
        Err(HistoryError::Unknown { kind: named, .. } | HistoryError::Damaged { kind: named, .. }) => {
            assert_eq!(named, kind, "a refusal names the event");
            return;
        }
    };
    assert!(history::KINDS.contains(&kind));
    let stored = history::write(&event);
    assert_eq!(stored.kind, kind);
    let back = history::read(&stored.kind, stored.version, &stored.body).expect("what is written is read");
    assert_eq!(history::write(&back), stored, "and written again as it was");
}

fn of_incident(kind: &str, version: u32, body: &Value) {
    let stored = incident::Stored {
        kind: kind.to_owned(),
        version,
        body: body.clone(),
    };
    let event = match IncidentEvent::load(&stored) {
        Ok(event) => event,
        Err(LoadError::UnknownKind(named)) => return assert_eq!(named, kind),
        Err(LoadError::NewerVersion { kind: named, .. } | LoadError::Malformed { kind: named, .. }) => {
            return assert_eq!(named, kind);
        }
    };
    let first = event.store().expect("an event has a stored form");
    let back = IncidentEvent::load(&first).expect("what is written is read");
    assert_eq!(back, event);
    assert_eq!(back.store().as_ref(), Ok(&first));
    // Alone it is seldom an incident; it must say so and not end the server.
    let _ = incident::fold([&event]);
}
