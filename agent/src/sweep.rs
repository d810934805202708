//! Nothing of a finished attempt stays behind.

use std::{io, path::Path, time::Duration};

use runtime::{AttemptDir, RuntimeError};
use types::LeaseToken;

use crate::{attempt::pod, context::Context, logs::Ends};

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

/// How the streams of an attempt ended, by its exit record, and then those of its services, by theirs.
pub(crate) fn ends(context: &Context, token: &LeaseToken) -> Ends {
    let dir = context.dir.attempt(token);
    let of = |dir: &Path| {
        let record = AttemptDir::new(dir).exit_record();
        crate::attempt::stream_ends(record.ok().flatten().as_ref())
    };
    let services = pod::services_seen(&dir).into_iter().map(|name| {
        let ends = of(&pod::service_dir(&dir, &name));
        (name, ends)
    });
    Ends {
        services: services.collect(),
        step: of(&dir),
    }
}
