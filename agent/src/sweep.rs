//! Nothing of a finished attempt stays behind.

use std::{io, sync::Arc, time::Duration};

use runtime::{AttemptDir, Found, RuntimeError};
use types::LeaseToken;

use crate::context::Context;

/// How long a container that nobody knows may take to end.
const ORPHAN: Duration = Duration::from_secs(60);

/// Waits between tries to remove an attempt: a shim that has told the end is still on its way out for a moment, and on a
/// loaded host that moment is long. About a minute in all.
const AGAIN_MS: [u64; 10] = [20, 50, 100, 250, 500, 1_000, 4_000, 10_000, 20_000, 25_000];

/// Removes an attempt's directory, and its container's rest where it was one.
pub(crate) async fn remove(context: &Context, token: &LeaseToken) {
    let mut waits = AGAIN_MS.into_iter();
    while let Err(error) = try_remove(context, token).await {
        let Some(wait) = waits.next() else {
            tracing::error!(%token, %error, "cannot remove what is left of an attempt; the next start of the agent tries again");
            return;
        };
        tracing::debug!(%token, %error, "what is left of an attempt cannot be removed yet");
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}

async fn try_remove(context: &Context, token: &LeaseToken) -> Result<(), RuntimeError> {
    let dir = context.dir.attempt(token);
    match &context.runtime {
        Ok(runtime) => runtime.remove(&dir).await,
        Err(_) => match fs_err::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RuntimeError(error.to_string())),
            _ => Ok(()),
        },
    }
}

/// What lies in the attempts' directory without a lease.
pub(crate) fn orphans(context: &Context, known: impl Fn(&LeaseToken) -> bool) -> Vec<LeaseToken> {
    let entries = match fs_err::read_dir(context.dir.attempts()) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(%error, "cannot look for what was left behind");
            return Vec::new();
        }
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|token| !known(token))
        .collect()
}

/// Ends and removes attempts without a lease.
pub(crate) async fn bury(context: Arc<Context>, orphans: Vec<LeaseToken>) {
    for token in orphans {
        tracing::warn!(%token, "an attempt without a lease was left behind; it is ended and removed");
        end(&context, &token).await;
        remove(&context, &token).await;
    }
}

async fn end(context: &Context, token: &LeaseToken) {
    let Ok(runtime) = &context.runtime else { return };
    let dir = context.dir.attempt(token);
    if let Ok(Found::Running(running)) = runtime.adopt(&dir).await {
        let stopped = runtime.stop(&dir).await;
        if stopped.is_err() || tokio::time::timeout(ORPHAN, running.wait()).await.is_err() {
            tracing::error!(%token, "a container without a lease does not end");
        }
    }
}

/// How the streams of an attempt in a container ended, by its exit record.
pub(crate) fn ends(context: &Context, token: &LeaseToken) -> [crate::logs::StreamEnd; 2] {
    let record = AttemptDir::new(context.dir.attempt(token)).exit_record();
    crate::attempt::stream_ends(record.ok().flatten().as_ref())
}
