//! How a service ended, for people and for the history.

use std::{io, path::Path};

use runtime::{AttemptDir, Ended, ExitRecord, RuntimeError};
use types::{ExitStatus, Failure, FailureKind, ServiceEnd, ServiceReport};

use crate::{attempt::tail::tail, mask::Masker};

/// Lines of a service that are shown where it went wrong, of each of its streams.
const LINES: usize = 3;
/// Characters of each.
const LINE_CHARS: usize = 200;
/// How much of a stream's end is looked at for them.
const TAIL_BYTES: u64 = 16 * 1024;

/// How it ended.
pub(super) enum Told {
    /// By itself, or because it was not ready.
    End(ServiceEnd),
    /// Because the step was over, or never began.
    Asked,
    /// It was not executed at all: why, where somebody says so.
    NeverRan(String),
}

/// By its record and its streams. Blocks for a moment.
pub(super) fn end_of(masker: &Masker, dir: &Path, ended: &Ended) -> Told {
    let record = match ended {
        Ended::Finished(record) => record,
        Ended::NeverStarted(words) => return Told::NeverRan(masker.text(words)),
        Ended::Lost => {
            let message = "is gone, and nobody knows how it ended".to_owned();
            return Told::End(ServiceEnd {
                message: format!("{message}{}", last_lines(masker, dir)),
                exit: None,
                after_ms: 0,
            });
        }
    };
    // Our wish is a file before it is a signal; another's signal is none of ours.
    if record.stopped && AttemptDir::new(dir).stop().exists() {
        return Told::Asked;
    }
    let what = match &record.start_error {
        Some(error) => format!("could not be started: {}", masker.text(&error.message)),
        None => how(record),
    };
    let message = format!("{what}{}", last_lines(masker, dir));
    let exit = ExitStatus {
        code: record.code,
        signal: record.signal,
        oom_kills: record.oom_kills,
        killed_after_grace: record.killed_after_grace,
    };
    Told::End(ServiceEnd {
        // Within its limit.
        message: Failure::new(FailureKind::Internal, message).message,
        exit: record.started.then_some(exit),
        after_ms: record.duration_ms,
    })
}

fn how(record: &ExitRecord) -> String {
    if let Some(why) = &record.not_ready {
        return format!("was not ready after {} ms: {why}", record.duration_ms);
    }
    if record.timed_out {
        return "was ended at the end of its time".to_owned();
    }
    let memory = if record.oom_kills > 0 {
        ", out of memory"
    } else {
        ""
    };
    let by = record
        .ended_by
        .as_ref()
        .map_or_else(String::new, |by| format!("; {by}"));
    match (record.code, record.signal) {
        (Some(code), _) => format!("ended with exit code {code}{memory}{by}"),
        (None, Some(signal)) => {
            let name =
                nix::sys::signal::Signal::try_from(signal).map_or("", nix::sys::signal::Signal::as_str);
            format!("was ended by signal {signal} {name}{memory}{by}")
        }
        (None, None) => format!("ended, and its record does not say how{memory}{by}"),
    }
}

/// When it ended, by the host's wall clock.
fn ended_ms(ended: &Ended) -> Option<i64> {
    match ended {
        Ended::Finished(record) => Some(record.finished_at_ms),
        Ended::NeverStarted(_) | Ended::Lost => None,
    }
}

/// What a service did, for the step's report.
pub(super) fn report(
    masker: &Masker,
    name: String,
    dir: &Path,
    ended: Result<Ended, RuntimeError>,
    step_ended_ms: Option<i64>,
) -> ServiceReport {
    let mut report = ServiceReport {
        name,
        // Unreadable is not ready.
        ready_ms: AttemptDir::new(dir).ready().ok().flatten(),
        ended: None,
        image_digest: None,
        stdout_bytes: 0,
        stderr_bytes: 0,
    };
    match ended {
        Ok(ended) => {
            // What came after the step, before the service was told to end, took nothing from the step.
            let after = step_ended_ms.is_some_and(|step| ended_ms(&ended) > Some(step));
            if let Told::End(end) = end_of(masker, dir, &ended)
                && !after
            {
                report.ended = Some(end);
            }
            if let Ended::Finished(record) = ended {
                report.image_digest = record.image_digest;
                report.stdout_bytes = record.stdout.bytes;
                report.stderr_bytes = record.stderr.bytes;
            }
        }
        Err(error) => {
            tracing::error!(dir = %dir.display(), %error, "a service does not end; it is tried again when it is removed");
            report.ended = Some(ServiceEnd {
                message: format!("could not be ended: {error}"),
                exit: None,
                after_ms: 0,
            });
        }
    }
    report
}

/// The last lines of both streams, masked, without what a terminal would obey.
fn last_lines(masker: &Masker, dir: &Path) -> String {
    let files = AttemptDir::new(dir);
    let mut found = Vec::new();
    for path in [files.stdout(), files.stderr()] {
        let bytes = match tail(&path, TAIL_BYTES) {
            Ok(bytes) => bytes,
            // It never came to writing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.push(format!("(cannot be read: {error})"));
                continue;
            }
        };
        let text = masker.text(&String::from_utf8_lossy(&bytes));
        let lines: Vec<String> = text
            .lines()
            .map(|line| {
                line.chars()
                    .filter(|c| !c.is_control())
                    .take(LINE_CHARS)
                    .collect::<String>()
            })
            .filter(|line| !line.trim().is_empty())
            .collect();
        found.extend_from_slice(&lines[lines.len().saturating_sub(LINES)..]);
    }
    if found.is_empty() {
        "; it wrote no line that can be shown".to_owned()
    } else {
        format!("; its last lines: {}", found.join(" | "))
    }
}
