//! What a caller gives for a run, or for the preview of one: inputs and an alert's body.

use tonic::Status;
use types::{Object, Value, limits};

use super::errors::{self, Violation};

/// `inputs_json`: an object, or nothing.
pub(super) fn inputs(json: &str) -> Result<Object, Status> {
    if json.trim().is_empty() {
        return Ok(Object::new());
    }
    serde_json::from_str(json)
        .map_err(|error| errors::invalid("inputs_json", format_args!("not a JSON object: {error}")))
}

/// INVALID_ARGUMENT for inputs that do not fit the plan.
pub(super) fn refused(errors: Vec<workflow::InputError>) -> Status {
    let violation = |error: workflow::InputError| Violation {
        field: format!("inputs_json.{}", error.name),
        why: error.message,
    };
    errors::invalid_all(errors.into_iter().map(violation).collect())
}

/// The alert that a payload is, as expressions read it.
pub(super) fn alert(payload: &[u8]) -> Result<Value, Status> {
    if payload.len() > limits::WEBHOOK_BODY_BYTES {
        return Err(errors::invalid(
            "payload",
            format_args!("at most {} bytes", limits::WEBHOOK_BODY_BYTES),
        ));
    }
    // It came by no path that would say whose it is.
    let read = incident::likely_source(payload)
        .and_then(|source| incident::normalise(source, None, payload))
        .map_err(|refused| errors::invalid("payload", refused))?;
    serde_json::to_value(&read.alert).map_err(|error| errors::defect("an alert cannot be written", error))
}
