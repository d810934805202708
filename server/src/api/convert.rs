//! Between the wire and the domain; nowhere else.

use engine::{At, ReportBody};
use proto::v1;
use protocol::Held;
use tonic::Status;
use types::{AttemptKey, Label, Labels, RunId, RunOutcome, Timestamp};

use super::errors;
use crate::store::{LogStream, StoredEvent};

/// An attempt for the wire.
pub(crate) fn attempt_ref(run: &RunId, at: &At) -> v1::AttemptRef {
    v1::AttemptRef {
        run_id: run.to_string(),
        step: at.step.clone(),
        index: at.index,
        attempt: at.attempt,
    }
}

/// An attempt from the wire.
pub(super) fn attempt(wire: Option<v1::AttemptRef>) -> Result<(RunId, At), Status> {
    let wire = wire.ok_or_else(|| errors::invalid("attempt", "missing"))?;
    let run = id(&wire.run_id, "attempt.run_id")?;
    Ok((
        run,
        At {
            step: wire.step,
            index: wire.index,
            attempt: wire.attempt,
        },
    ))
}

/// The key of an attempt's logs.
pub(crate) fn key(run: &RunId, at: &At) -> AttemptKey {
    AttemptKey {
        run: run.clone(),
        step: at.step.clone(),
        index: at.index,
        attempt: at.attempt,
    }
}

/// A typed id, or INVALID_ARGUMENT that names the field.
pub(crate) fn id<T: std::str::FromStr<Err = types::IdError>>(text: &str, field: &str) -> Result<T, Status> {
    text.parse().map_err(|error| errors::invalid(field, error))
}

/// An agent's report.
pub(super) fn report(body: Option<v1::report::Body>) -> Result<ReportBody, Status> {
    use v1::report::Body;
    Ok(
        match body.ok_or_else(|| errors::invalid("report.body", "missing or unknown"))? {
            Body::Accepted(_) => ReportBody::Accepted,
            Body::Started(_) => ReportBody::Started,
            Body::Finished(finished) => {
                let report = serde_json::from_str(&finished.report_json)
                    .map_err(|error| errors::invalid("report.finished.report_json", error))?;
                ReportBody::Finished(Box::new(report))
            }
            Body::Declined(_) => ReportBody::Declined,
            Body::Released(released) => ReportBody::Released {
                crashes: released.agent_crashes,
            },
            Body::Lost(_) => ReportBody::Lost,
        },
    )
}

/// What an inventory says of a token.
pub(super) fn held(phase: i32) -> Result<Held, Status> {
    use v1::AttemptPhase as P;
    match P::try_from(phase) {
        Ok(P::Accepted) => Ok(Held::Accepted),
        Ok(P::Starting) => Ok(Held::Starting),
        Ok(P::Running) => Ok(Held::Running),
        Ok(P::Finished) => Ok(Held::Finished),
        Ok(P::Done) => Ok(Held::Done),
        Ok(P::Unspecified) | Err(_) => Err(errors::invalid(
            "inventory.phase",
            format_args!("unknown value {phase}"),
        )),
    }
}

/// Labels, each checked.
pub(super) fn labels(wire: Vec<v1::Label>) -> Result<Labels, Status> {
    let label = |l: v1::Label| {
        format!("{}={}", l.key, l.value)
            .parse::<Label>()
            .map_err(|e| errors::invalid("labels", e))
    };
    Ok(Labels(wire.into_iter().map(label).collect::<Result<_, _>>()?))
}

/// An outcome for the wire.
pub(crate) const fn outcome(outcome: Option<RunOutcome>) -> v1::Outcome {
    match outcome {
        None => v1::Outcome::Unspecified,
        Some(RunOutcome::Succeeded) => v1::Outcome::Succeeded,
        Some(RunOutcome::Degraded) => v1::Outcome::Degraded,
        Some(RunOutcome::Failed) => v1::Outcome::Failed,
        Some(RunOutcome::Cancelled) => v1::Outcome::Cancelled,
    }
}

/// An instant for the wire; 0 for none.
pub(crate) fn ms(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::unix_ms)
}

/// A log's stream from the wire: of a service by its number, or of the step itself. Unspecified is standard output.
pub(super) fn log_stream(stream: i32, service: Option<u8>) -> Result<LogStream, Status> {
    match (v1::LogStream::try_from(stream), service) {
        (Ok(v1::LogStream::Stdout | v1::LogStream::Unspecified), None) => Ok(LogStream::Stdout),
        (Ok(v1::LogStream::Stderr), None) => Ok(LogStream::Stderr),
        (Ok(v1::LogStream::Stdout | v1::LogStream::Unspecified), Some(number)) => {
            Ok(LogStream::ServiceOut(number))
        }
        (Ok(v1::LogStream::Stderr), Some(number)) => Ok(LogStream::ServiceErr(number)),
        (Err(_), _) => Err(errors::invalid(
            "stream",
            format_args!("unknown value {stream}: 1 is standard output, 2 standard error"),
        )),
    }
}

/// The names of a step's services, in the order of their numbers.
pub(crate) fn services(run: &engine::Run, step: &str) -> Vec<String> {
    let services = run.step(step).and_then(|(plan, _)| plan.body.services());
    services.map_or_else(Vec::new, |all| all.keys().cloned().collect())
}

/// The number of a service; none for the step itself, whose name is empty.
///
/// # Errors
/// Which services there are, when it is none of them.
pub(crate) fn service(services: &[String], name: &str) -> Result<Option<u8>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    match services.iter().position(|known| known == name) {
        Some(number) => u8::try_from(number).map(Some).map_err(|error| error.to_string()),
        None if services.is_empty() => Err("the step has no services".to_owned()),
        None => Err(format!(
            "the step has no service {:?}; it has {}",
            super::brief(name),
            services.join(", ")
        )),
    }
}

/// A log's stream for the wire.
pub(super) const fn log_stream_wire(stream: LogStream) -> v1::LogStream {
    match stream {
        LogStream::Stdout | LogStream::ServiceOut(_) => v1::LogStream::Stdout,
        LogStream::Stderr | LogStream::ServiceErr(_) => v1::LogStream::Stderr,
    }
}

/// An event for the wire.
pub(super) fn event(run: &RunId, stored: StoredEvent) -> v1::Event {
    v1::Event {
        run_id: run.to_string(),
        seq: stored.seq,
        cursor: stored.cursor.to_string(),
        at_ms: stored.at.unix_ms(),
        kind: stored.kind,
        version: stored.version,
        body_json: stored.body,
        incident_id: String::new(),
    }
}

/// An event of the server-wide stream for the wire.
pub(super) fn streamed(stored: StoredEvent, incident: Option<&types::IncidentId>) -> v1::Event {
    let run_id = match &stored.stream {
        crate::store::StreamId::Run(run) => run.to_string(),
        crate::store::StreamId::Incident(_) => String::new(),
    };
    v1::Event {
        run_id,
        seq: stored.seq,
        cursor: stored.cursor.to_string(),
        at_ms: stored.at.unix_ms(),
        kind: stored.kind,
        version: stored.version,
        body_json: stored.body,
        incident_id: incident.map(ToString::to_string).unwrap_or_default(),
    }
}
