//! Nothing of a finished attempt stays behind.

use std::{io, sync::Arc, time::Duration};

use runtime::AttemptDir;
use types::LeaseToken;

use crate::{
    context::Context,
    runtime::{Found, RuntimeError},
};

/// How long a container that nobody knows may take to end.
const ORPHAN: Duration = Duration::from_secs(60);

/// Removes an attempt's directory, and its container's rest where it was one.
pub(crate) async fn remove(context: &Context, token: &LeaseToken) {
    let dir = context.dir.attempt(token);
    let removed = match &context.runtime {
        Ok(runtime) => runtime.remove(&dir).await,
        Err(_) => match fs_err::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RuntimeError(error.to_string())),
            _ => Ok(()),
        },
    };
    if let Err(error) = removed {
        tracing::error!(%token, %error, "cannot remove what is left of an attempt; the next start of the agent tries again");
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
