//! Nothing of a finished attempt stays behind.

use std::{io, path::Path, time::Duration};

use runtime::{AttemptDir, RuntimeError};
use types::LeaseToken;

use crate::{
    attempt::{pod, stream_ends},
    context::Context,
    data_dir,
    logs::{Ends, StreamEnd},
};

/// How the streams of an action ended, beside its log.
const ENDS: &str = "ends";

/// Waits between tries to remove an attempt: a shim that has told the end is still on its way out for a moment, and on a
/// loaded host that moment is long. What stays longer is the janitor's.
const AGAIN_MS: [u64; 7] = [20, 50, 100, 250, 500, 1_000, 4_000];

/// Removes an attempt's directory, and its container's rest where it was one.
pub(crate) async fn remove(context: &Context, token: &LeaseToken) {
    let mut waits = AGAIN_MS.into_iter();
    while let Err(error) = try_remove(context, token).await {
        let Some(wait) = waits.next() else {
            tracing::error!(%token, %error, "cannot remove what is left of an attempt; it is tried again until it goes");
            return;
        };
        tracing::debug!(%token, %error, "what is left of an attempt cannot be removed yet");
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}

pub(crate) async fn try_remove(context: &Context, token: &LeaseToken) -> Result<(), RuntimeError> {
    let dir = context.dir.attempt(token);
    match &context.runtimes {
        Ok(runtimes) => {
            let runtime = runtimes.of(&dir)?;
            pod::remove(runtime, &dir).await?;
            runtime.remove(&dir).await?;
        }
        Err(_) => match fs_err::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RuntimeError(error.to_string()));
            }
            _ => {}
        },
    }
    context.kept.forget(token);
    context.masks.release(token);
    Ok(())
}

/// How the streams of an attempt ended, and then those of its services. It does not run any more.
pub(crate) fn ends(context: &Context, token: &LeaseToken) -> Ends {
    let dir = context.dir.attempt(token);
    let services = pod::services_seen(&dir).into_iter().map(|name| {
        let ends = streams(&pod::service_dir(&dir, &name));
        (name, ends)
    });
    Ends {
        services: services.collect(),
        step: streams(&dir),
    }
}

/// By the record of what wrote them. It was killed where there is none; then nobody knows how much is missing.
fn streams(dir: &Path) -> [StreamEnd; 2] {
    let files = AttemptDir::new(dir);
    if let Ok(Some(record)) = files.exit_record() {
        return stream_ends(&record);
    }
    let noted = std::fs::read(dir.join(ENDS)).ok();
    if let Some(ends) = noted.and_then(|json| serde_json::from_slice(&json).ok()) {
        return ends;
    }
    let unknown = may_have_written(&files);
    [StreamEnd {
        unknown,
        ..StreamEnd::default()
    }; 2]
}

/// Whether it had begun, as far as its files say. A container has a job and is marked as it is told to go; an action makes
/// the file of its log first.
fn may_have_written(files: &AttemptDir) -> bool {
    let logs = [files.stdout(), files.stderr()];
    let has_bytes = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
    files.started().exists()
        || logs.iter().any(|path| has_bytes(path))
        || (files.stdout().exists() && !files.job().exists())
}

/// Writes down how the streams of an action ended, for the next agent on this directory.
///
/// # Errors
/// It cannot be written; that agent then says that it does not know.
pub(crate) fn note_ends(dir: &Path, ends: &[StreamEnd; 2]) -> io::Result<()> {
    data_dir::replace(&dir.join(ENDS), &serde_json::to_vec(ends)?)
}
