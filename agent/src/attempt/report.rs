//! An exit record as a report.

use std::path::Path;

use node::clock;
use runtime::{AttemptDir, ExitRecord, Hardening, LimitsBy, StartErrorKind};
use types::{
    AttemptReport, ExitStatus, Failure, FailureKind, Object, OutputFrom, Usage, Value, Verdict, Work,
    WorkBody, limits,
};

use super::tail::tail;
use crate::{context::Context, logs::StreamEnd, mask::Masker, outputs, spool::StopCause};

/// How much of the last line on standard error goes into a failure's message.
const LAST_WORDS: usize = 300;
/// How much of its end is looked at for that line, bytes.
const TAIL_BYTES: u64 = 16 * 1024;

/// A report without outputs.
pub(super) fn of(verdict: Verdict, usage: Usage) -> AttemptReport {
    AttemptReport {
        verdict,
        outputs: Object::new(),
        artifacts: Vec::new(),
        exit: None,
        usage,
        finished_at: clock::wall(),
        runtime: None,
        image_digest: None,
        services: Vec::new(),
    }
}

/// How the streams ended, as what wrote them has counted.
pub(crate) fn stream_ends(record: &ExitRecord) -> [StreamEnd; 2] {
    [&record.stdout, &record.stderr].map(|s| StreamEnd {
        dropped: s.dropped,
        gap_at: s.gap_at,
        unknown: s.end_unknown,
    })
}

/// The report of a container that ended. Reads its files: blocks for a moment.
pub(crate) fn of_exit(
    context: &Context,
    work: &Work,
    dir: &Path,
    record: &ExitRecord,
    cause: Option<&StopCause>,
) -> AttemptReport {
    let files = AttemptDir::new(dir);
    let usage = Usage {
        duration_ms: record.duration_ms,
        cpu_ms: record.cpu_ms,
        peak_memory_bytes: record.peak_memory_bytes,
        stdout_bytes: record.stdout.bytes,
        stderr_bytes: record.stderr.bytes,
    };
    let (verdict, outputs) = match failure(context, work, &files, record, cause) {
        Some(verdict) => (verdict, Object::new()),
        None => success(context, work, &files, record),
    };
    let runtimes = context.runtimes.as_ref().ok();
    let runtime = runtimes.and_then(|runtimes| runtimes.of(dir).ok());
    let exit = ExitStatus {
        code: record.code,
        signal: record.signal,
        oom_kills: record.oom_kills,
        killed_after_grace: record.killed_after_grace,
    };
    AttemptReport {
        verdict,
        outputs,
        artifacts: Vec::new(),
        exit: record.started.then_some(exit),
        usage,
        finished_at: types::Timestamp::from_unix_ms(record.finished_at_ms),
        runtime: runtime.map(|runtime| {
            let name = runtime.name();
            record
                .hardening
                .as_ref()
                .map_or_else(|| name.to_owned(), |hardening| in_force(name, hardening))
        }),
        image_digest: record.image_digest.clone(),
        services: Vec::new(),
    }
}

fn in_force(name: &str, hardening: &Hardening) -> String {
    let whom = if hardening.as_agent() {
        "host uid"
    } else {
        "host uids from"
    };
    let limits = match hardening.limits {
        LimitsBy::Cgroup => "",
        LimitsBy::Process => ", limits for each process and not the whole step",
    };
    format!(
        "{name}: seccomp {}, no_new_privs {}, capabilities {}, {whom} {}{limits}",
        hardening.seccomp, hardening.no_new_privs, hardening.cap_effective, hardening.host_uid_base
    )
}

/// Why it did not succeed by itself; none when it exited with 0.
fn failure(
    context: &Context,
    work: &Work,
    files: &AttemptDir,
    record: &ExitRecord,
    cause: Option<&StopCause>,
) -> Option<Verdict> {
    let stopped = record.stopped
        || record
            .start_error
            .as_ref()
            .is_some_and(|e| e.kind == StartErrorKind::Stopped);
    if stopped {
        return Some(stopped_by(cause, work));
    }
    let failed = |kind, message: String| {
        let mut failure = Failure::new(kind, message);
        failure.exit_code = record.code;
        Some(Verdict::Failed { failure })
    };
    if let Some(error) = &record.start_error {
        return failed(FailureKind::Start, context.masker().text(&error.message));
    }
    let killed = if record.killed_after_grace {
        format!("; TERM was not enough, KILL was sent {} ms later", work.grace_ms)
    } else {
        String::new()
    };
    if record.timed_out {
        return failed(
            FailureKind::Timeout,
            format!("timed out: not done within {} ms{killed}", work.timeout_ms),
        );
    }
    if (record.code, record.signal, &record.ended_by) == (Some(0), None, &None) {
        return None;
    }
    if record.oom_kills > 0 {
        let limit = match &work.body {
            WorkBody::Container(container) => container.resources.memory_bytes / (1024 * 1024),
            WorkBody::Action(_) => 0,
        };
        let processes = if record.oom_kills == 1 {
            "process"
        } else {
            "processes"
        };
        let message = format!(
            "out of memory: {} {processes} killed at the limit of {limit} MiB",
            record.oom_kills
        );
        return failed(FailureKind::Oom, message);
    }
    let note = record
        .ended_by
        .as_ref()
        .map(|by| format!("; {by}"))
        .unwrap_or_default();
    match (record.code, record.signal) {
        (Some(code), _) => failed(
            FailureKind::Exit,
            format!("exit code {code}{note}{}", last_words(context, files)),
        ),
        (None, Some(signal)) => {
            let name =
                nix::sys::signal::Signal::try_from(signal).map_or("", nix::sys::signal::Signal::as_str);
            failed(
                FailureKind::Signal,
                format!(
                    "ended by signal {signal} {name}{note}{}",
                    last_words(context, files)
                ),
            )
        }
        (None, None) => failed(
            FailureKind::Internal,
            "its exit record has neither a code nor a signal".to_owned(),
        ),
    }
}

/// The verdict on an attempt that this agent ended.
pub(super) fn stopped_by(cause: Option<&StopCause>, work: &Work) -> Verdict {
    match cause {
        Some(StopCause::LeaseOver) => {
            let message = format!(
                "ended by its agent at the end of its lease: the server could not be reached for {} ms",
                work.disconnect_ms
            );
            Verdict::Failed {
                failure: Failure::new(FailureKind::Lost, message),
            }
        }
        Some(StopCause::Asked) | None => Verdict::Cancelled { confirmed: true },
    }
}

/// The last line on standard error, for the person who reads the message.
fn last_words(context: &Context, files: &AttemptDir) -> String {
    let bytes = tail(&files.stderr(), TAIL_BYTES).unwrap_or_default();
    let text = context.masker().text(&String::from_utf8_lossy(&bytes));
    match text.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => {
            let plain: String = line
                .chars()
                .filter(|c| !c.is_control())
                .take(LAST_WORDS)
                .collect();
            format!("; its last words: {plain}")
        }
        None => String::new(),
    }
}

fn success(context: &Context, work: &Work, files: &AttemptDir, record: &ExitRecord) -> (Verdict, Object) {
    match results(context, work, files, record) {
        Ok((outputs, reasons)) if reasons.is_empty() => (Verdict::Succeeded, outputs),
        Ok((outputs, reasons)) => (Verdict::Degraded { reasons }, outputs),
        Err(message) => {
            let mut failure = Failure::new(FailureKind::Output, context.masker().text(&message));
            failure.exit_code = record.code;
            (Verdict::Failed { failure }, Object::new())
        }
    }
}

fn results(
    context: &Context,
    work: &Work,
    files: &AttemptDir,
    record: &ExitRecord,
) -> Result<(Object, Vec<String>), String> {
    let from_stdout = matches!(&work.body, WorkBody::Container(c) if c.output_from == OutputFrom::StdoutJson);
    let outputs = if from_stdout {
        if record.stdout.bytes > limits::OUTPUTS_BYTES as u64 {
            let limit = limits::OUTPUTS_BYTES;
            return Err(format!(
                "standard output: {} bytes, the limit for outputs is {limit}",
                record.stdout.bytes
            ));
        }
        let bytes = std::fs::read(files.stdout()).map_err(|error| format!("standard output: {error}"))?;
        outputs::from_json(&bytes, &work.outputs)
    } else {
        let bytes = files
            .output()
            .map_err(|error| format!("$FIREHALL_OUTPUT: {error}"))?;
        outputs::from_file(&bytes, &work.outputs)
    };
    let outputs = outputs.map_err(|error| error.to_string())?;
    without_secrets(context, &outputs)?;
    let degraded = files
        .degraded()
        .map_err(|error| format!("$FIREHALL_DEGRADED: {error}"))?;
    Ok((
        outputs,
        reasons(context, String::from_utf8_lossy(&degraded).lines()),
    ))
}

/// An output is kept in the history: no secret may be in one, in whatever form.
pub(super) fn without_secrets(context: &Context, outputs: &Object) -> Result<(), String> {
    let masker = context.masker();
    match outputs
        .iter()
        .find(|(_, value)| holds(&masker, value) || masker.finds(value.to_string().as_bytes()))
    {
        None => Ok(()),
        Some((name, _)) => Err(format!(
            "output {name:?} holds the value of a secret of this agent: outputs are kept in the history"
        )),
    }
}

/// Whether a text within it, as it is without JSON's escapes, holds a secret.
fn holds(masker: &Masker, value: &Value) -> bool {
    match value {
        Value::String(text) => masker.finds(text.as_bytes()),
        Value::Array(items) => items.iter().any(|item| holds(masker, item)),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| masker.finds(key.as_bytes()) || holds(masker, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Degradation reasons, masked and within their limits.
pub(super) fn reasons<'a>(context: &Context, lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut reasons: Vec<String> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| Failure::new(FailureKind::Internal, context.masker().text(line)).message)
        .collect();
    if reasons.len() > limits::REASONS {
        let more = reasons.len() - (limits::REASONS - 1);
        reasons.truncate(limits::REASONS - 1);
        reasons.push(format!("and {more} more"));
    }
    reasons
}
