//! Errors as callers get them: a code, a sentence, and the details of google.rpc that say the same to a program. A status
//! travels in headers. gRPC's own library begins to refuse them at 8 KiB, so all of it stays below that: what does not
//! fit is left out, and the sentence or the last entry says so.

use std::{fmt::Display, time::Duration};

use bytes::Bytes;
use prost::Message;
use prost_types::Any;
use proto::v1;
use tonic::{Code, Status};
use tonic_types::pb;
use workflow::SourceFile;

use crate::{runs::RunError, store::StoreError};

/// A status's sentence in a header, where most of what is not a letter takes three bytes.
const MESSAGE: usize = 2_400;
/// The sentence and the details, as headers.
const HEADERS: usize = 7_200;
/// How long to wait before asking again when the server or its store cannot answer now.
const AGAIN: Duration = Duration::from_secs(1);

/// A diagnostic for the wire.
pub(super) fn diagnostic(diagnostic: &workflow::Diagnostic) -> v1::Diagnostic {
    v1::Diagnostic {
        code: diagnostic.code.as_str().to_owned(),
        severity: match diagnostic.severity {
            workflow::Severity::Error => "error",
            workflow::Severity::Warning => "warning",
        }
        .to_owned(),
        line: u32::try_from(diagnostic.span.line).unwrap_or(u32::MAX),
        column: u32::try_from(diagnostic.span.column).unwrap_or(u32::MAX),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone().unwrap_or_default(),
    }
}

/// What is wrong with one field of a request; `field` is its path: `run_ids[3]`, `inputs_json.responders[0]`.
pub(crate) struct Violation {
    /// Its path.
    pub(crate) field: String,
    /// What is wrong, and what would be right.
    pub(crate) why: String,
}

/// INVALID_ARGUMENT for one field.
pub(crate) fn invalid(field: impl Into<String>, why: impl Display) -> Status {
    invalid_all(vec![Violation {
        field: field.into(),
        why: why.to_string(),
    }])
}

/// INVALID_ARGUMENT for all fields that are wrong, in the order of the request.
pub(crate) fn invalid_all(violations: Vec<Violation>) -> Status {
    let sentences: Vec<String> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.why))
        .collect();
    let violations = violations.into_iter().map(violation).collect();
    let details = |violations: &Vec<_>| {
        let field_violations = violations.clone();
        vec![any("google.rpc.BadRequest", &pb::BadRequest { field_violations })]
    };
    bounded(
        Code::InvalidArgument,
        &sentences.join("\n"),
        violations,
        left_out,
        &details,
    )
}

fn violation(violation: Violation) -> pb::bad_request::FieldViolation {
    field_violation(violation.field, &violation.why)
}

fn field_violation(field: String, why: &str) -> pb::bad_request::FieldViolation {
    pb::bad_request::FieldViolation {
        field: cut(&field, 256),
        description: cut(why, 1_024),
        ..pb::bad_request::FieldViolation::default()
    }
}

fn left_out(n: usize) -> pb::bad_request::FieldViolation {
    field_violation(String::new(), &format!("{n} more that do not fit here"))
}

/// INVALID_ARGUMENT for a definition that does not compile: every error beside the field that holds it.
pub(crate) fn definition(field: &str, file: &SourceFile, diagnostics: &[workflow::Diagnostic]) -> Status {
    let text = workflow::render_text(diagnostics, file, false);
    let errors: Vec<v1::Diagnostic> = diagnostics.iter().map(diagnostic).collect();
    let count = errors.iter().filter(|one| one.severity == "error").count();
    let why = format!("the definition has {count} errors: see firehall.v1.DefinitionErrors");
    let details = |errors: &Vec<v1::Diagnostic>| {
        let field_violations = vec![field_violation(field.to_owned(), &why)];
        let diagnostics = errors.clone();
        vec![
            any("google.rpc.BadRequest", &pb::BadRequest { field_violations }),
            any(
                "firehall.v1.DefinitionErrors",
                &v1::DefinitionErrors { diagnostics },
            ),
        ]
    };
    let more = |n| v1::Diagnostic {
        severity: "error".to_owned(),
        message: format!("{n} more diagnostics that do not fit here: Compile answers all of them"),
        ..v1::Diagnostic::default()
    };
    bounded(Code::InvalidArgument, &text, errors, more, &details)
}

/// NOT_FOUND: `kind` is a word for people (`run`), `name` what was asked for.
pub(crate) fn not_found(kind: &str, name: &str, why: impl Display) -> Status {
    let info = pb::ResourceInfo {
        resource_type: kind.to_owned(),
        resource_name: cut(name, 256),
        owner: String::new(),
        description: cut(&why.to_string(), 1_024),
    };
    status(
        Code::NotFound,
        &why.to_string(),
        vec![any("google.rpc.ResourceInfo", &info)],
    )
}

/// NOT_FOUND for a run.
pub(crate) fn no_run(id: &types::RunId) -> Status {
    not_found("run", id.as_str(), format_args!("there is no run {id}"))
}

/// NOT_FOUND for an incident.
pub(crate) fn no_incident(id: &types::IncidentId) -> Status {
    not_found("incident", id.as_str(), format_args!("there is no incident {id}"))
}

/// NOT_FOUND for a kept workflow.
pub(crate) fn no_workflow(name: &str, version: Option<&str>) -> Status {
    let why = match version {
        Some(version) => format!("no version {version:?} of a workflow {name:?} is kept"),
        None => format!("no workflow {name:?} is kept"),
    };
    not_found("workflow", name, why)
}

/// FAILED_PRECONDITION: `kind` names the condition (`RUN_LIVE`), `subject` what it is about.
pub(crate) fn precondition(kind: &str, subject: &str, why: impl Display) -> Status {
    let violations = vec![pb::precondition_failure::Violation {
        r#type: kind.to_owned(),
        subject: cut(subject, 256),
        description: cut(&why.to_string(), 1_024),
    }];
    status(
        Code::FailedPrecondition,
        &why.to_string(),
        vec![any(
            "google.rpc.PreconditionFailure",
            &pb::PreconditionFailure { violations },
        )],
    )
}

/// ALREADY_EXISTS: the key was used for another request.
pub(crate) fn used_key() -> Status {
    let why = "idempotency_key: this key was used for another request within 7 days";
    let info = pb::ResourceInfo {
        resource_type: "idempotency_key".to_owned(),
        description: why.to_owned(),
        ..pb::ResourceInfo::default()
    };
    status(
        Code::AlreadyExists,
        why,
        vec![any("google.rpc.ResourceInfo", &info)],
    )
}

/// UNAVAILABLE: the same call may come again in a moment.
pub(crate) fn unavailable(why: impl Display) -> Status {
    status(Code::Unavailable, &why.to_string(), vec![retry(AGAIN)])
}

/// The server is about to end.
pub(crate) fn stopping() -> Status {
    unavailable("the server is stopping, try again")
}

/// RESOURCE_EXHAUSTED: there is too much of something now; the same call may come again after `again`.
pub(crate) fn exhausted(why: impl Display, again: Duration) -> Status {
    status(Code::ResourceExhausted, &why.to_string(), vec![retry(again)])
}

/// A stream's end before its time: `field` of another request goes on after `position`, which `ErrorInfo` says to programs.
pub(crate) fn go_on(code: Code, why: &str, field: &str, position: impl Display) -> Status {
    let info = pb::ErrorInfo {
        reason: match code {
            Code::ResourceExhausted => "READER_TOO_SLOW",
            _ => "SERVER_STOPPING",
        }
        .to_owned(),
        domain: "firehall.v1".to_owned(),
        metadata: [(field.to_owned(), position.to_string())].into(),
    };
    let details = vec![any("google.rpc.ErrorInfo", &info), retry(Duration::ZERO)];
    status(code, &format!("{why}: go on with {field} {position}"), details)
}

/// The server is about to end, and a stream with it.
pub(crate) fn stopping_after(field: &str, position: impl Display) -> Status {
    go_on(Code::Unavailable, "the server is stopping", field, position)
}

/// INTERNAL. What is inside goes to the log, not to the caller.
pub(crate) fn defect(what: &str, error: impl Display) -> Status {
    tracing::error!(%error, "{what}");
    Status::internal("a defect of the server; its log says more")
}

/// The status of a store's error. What is inside goes to the log, not to the caller.
pub(crate) fn store_status(error: &StoreError) -> Status {
    match error {
        StoreError::Conflict { .. } => Status::aborted("another writer was first, try again"),
        StoreError::Claimed(_) => used_key(),
        StoreError::Unavailable(_) => {
            tracing::error!(%error, "the store is unavailable");
            unavailable("the store cannot write now, try again")
        }
        StoreError::Invalid(_) => defect("an append made no sense", error),
        StoreError::Corrupt(_) => {
            tracing::error!(%error, "the store cannot be read");
            Status::data_loss("what is stored cannot be read by this version; the server's log says more")
        }
    }
}

/// The status of a run's error.
pub(crate) fn run_status(error: &RunError) -> Status {
    use engine::Rejected as R;
    match error {
        RunError::NotFound(id) => no_run(id),
        RunError::Rejected(rejected @ (R::NoSuchStep(what) | R::NoSuchAttempt(what))) => {
            not_found("step", what, rejected)
        }
        RunError::Rejected(rejected) => precondition("RUN_STATE", "run", rejected),
        RunError::Store(error) => store_status(error),
        RunError::Defect(_) | RunError::GivenUp(_) => Status::internal(error.to_string()),
        RunError::Stopping => stopping(),
    }
}

/// FAILED_PRECONDITION for a definition over which this server's process died.
pub(super) fn deadly(workflow: &str, deadly: crate::runs::Deadly) -> Status {
    precondition(
        "DEADLY",
        workflow,
        format_args!("workflow {workflow}: {deadly}: change the definition; the log says more"),
    )
}

fn retry(after: Duration) -> Any {
    let retry_delay = prost_types::Duration::try_from(after).ok();
    any("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay })
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

/// With as many entries as fit; the last says how many are left out.
fn bounded<T: Clone>(
    code: Code,
    text: &str,
    mut entries: Vec<T>,
    left_out: impl Fn(usize) -> T,
    details: &dyn Fn(&Vec<T>) -> Vec<Any>,
) -> Status {
    let message = brief(text);
    let room = (HEADERS - encoded(&message)) / 4 * 3;
    let all = entries.len();
    // Each takes some bytes: more than this many cannot fit, and trying one by one must not take long.
    entries.truncate(256);
    loop {
        let mut told = entries.clone();
        if told.len() < all {
            told.push(left_out(all - told.len()));
        }
        let details = details(&told);
        let whole = pb::Status {
            code: code.into(),
            message: message.clone(),
            details,
        };
        if whole.encoded_len() <= room || entries.pop().is_none() {
            return Status::with_details(code, message, Bytes::from(whole.encode_to_vec()));
        }
    }
}

fn status(code: Code, text: &str, details: Vec<Any>) -> Status {
    let message = brief(text);
    let whole = pb::Status {
        code: code.into(),
        message: message.clone(),
        details,
    };
    Status::with_details(code, message, Bytes::from(whole.encode_to_vec()))
}

/// A text's bytes in a header: what is not plain is percent-encoded.
fn encoded(text: &str) -> usize {
    text.bytes().map(wide).sum()
}

const fn wide(byte: u8) -> usize {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b',' | b':' | b'-' | b'_' | b'/' | b'\'') {
        1
    } else {
        3
    }
}

/// A text for a status: it travels in a header, percent-encoded, and again in the details.
pub(crate) fn brief(text: &str) -> String {
    if encoded(text) <= MESSAGE {
        return text.to_owned();
    }
    let mut bytes = 0;
    let end = text
        .char_indices()
        .find(|(at, c)| {
            bytes += text[*at..*at + c.len_utf8()].bytes().map(wide).sum::<usize>();
            bytes > MESSAGE - 100
        })
        .map_or(text.len(), |(at, _)| at);
    format!("{} … ({} bytes in all)", &text[..end], text.len())
}

/// At most so many bytes, with a mark where something is left out.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} …", &text[..end])
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::{Violation, invalid, invalid_all};

    /// What a status takes as headers.
    fn headers(status: &tonic::Status) -> usize {
        let response = status.clone().into_http::<()>();
        let headers = response.headers().iter();
        headers
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum()
    }

    #[test]
    fn a_field_is_named_for_people_and_programs() {
        let status = invalid("run_ids[3]", "not an id");
        assert_eq!(status.message(), "run_ids[3]: not an id");
        let details = status.get_details_bad_request();
        assert_eq!(
            details.map(|d| d.field_violations[0].field.clone()).as_deref(),
            Some("run_ids[3]")
        );
    }

    #[test]
    fn whatever_is_wrong_fits_into_headers_and_says_what_is_left_out() {
        for (count, text) in [
            (1, "é\n %".repeat(4_000)),
            (900, "é\u{1F525}".repeat(30)),
            (60, "x".repeat(3_000)),
        ] {
            let violations = (0..count).map(|n| Violation {
                field: format!("run_ids[{n}]"),
                why: text.clone(),
            });
            let status = invalid_all(violations.collect());
            assert!(headers(&status) <= 8 * 1024, "{} for {count}", headers(&status));
            assert!(status.message().contains("bytes in all"), "{}", status.message());
            let told = status
                .get_details_bad_request()
                .map(|d| d.field_violations)
                .unwrap_or_default();
            assert!(!told.is_empty());
            if count > 1 {
                let last = &told[told.len() - 1];
                assert_eq!(
                    last.description,
                    format!("{} more that do not fit here", count - (told.len() - 1))
                );
            }
        }
    }
}
