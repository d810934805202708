//! After the step, however it ended: every service ends, and what became of each is told.

use std::{path::Path, sync::Arc, time::Duration};

use futures::future::join_all;
use runtime::{Ended, Found, Runtime, RuntimeError};
use types::{Failure, FailureKind, ServiceReport, Verdict, limits};

use super::{end::report, holder_dir, service_dir, services_in, services_seen};
use crate::context::Context;

/// What a runtime may take to end a container beyond the longest grace.
const PATIENCE: Duration = Duration::from_millis(limits::GRACE_MAX_MS + 60_000);

/// Ends all that stands beside a step, and tells of its services: of what they did until the step had ended, where it ran.
/// Nothing there is fine; done twice it tells the same.
pub(crate) async fn down(
    context: &Context,
    attempt: &Path,
    step_ended_ms: Option<i64>,
) -> Vec<ServiceReport> {
    let names = services_seen(attempt);
    let runtimes = context.runtimes.as_ref().ok();
    let runtime = match runtimes.map(|runtimes| runtimes.of(attempt)) {
        Some(Ok(runtime)) => runtime,
        None => return Vec::new(),
        Some(Err(error)) => {
            tracing::error!(dir = %attempt.display(), %error, "the services of an attempt cannot be ended now");
            return Vec::new();
        }
    };
    let told = join_all(names.into_iter().map(|name| async {
        let dir = service_dir(attempt, &name);
        let ended = end(runtime.as_ref(), &dir).await;
        let masker = context.masker();
        let shown = name.clone();
        match node::blocking::run(move || report(&masker, name, &dir, ended, step_ended_ms)).await {
            Ok(report) => Some(report),
            Err(error) => {
                tracing::error!(service = shown, %error, "what became of a service cannot be told");
                None
            }
        }
    }))
    .await;
    // The network goes last: what ends may still say goodbye.
    let holder = holder_dir(attempt);
    if holder.exists()
        && let Err(error) = end(runtime.as_ref(), &holder).await
    {
        tracing::error!(dir = %holder.display(), %error, "what held a step's network does not end; it is tried again when it is removed");
    }
    told.into_iter().flatten().collect()
}

/// Ends one and waits for that.
async fn end(runtime: &dyn Runtime, dir: &Path) -> Result<Ended, RuntimeError> {
    let running = match runtime.adopt(dir).await? {
        Found::Running(running) => running,
        Found::Ended(ended) => return Ok(ended),
    };
    runtime.stop(dir).await?;
    match tokio::time::timeout(PATIENCE, running.wait()).await {
        Ok(ended) => ended,
        Err(_) => Err(RuntimeError("it does not end".to_owned())),
    }
}

/// Ends and removes all that stands beside a step, before the step's own directory is removed.
///
/// # Errors
/// One does not go: to be tried again.
pub(crate) async fn remove(runtime: &Arc<dyn Runtime>, attempt: &Path) -> Result<(), RuntimeError> {
    let services = services_in(attempt)
        .map_err(|error| RuntimeError(error.to_string()))?
        .into_iter()
        .map(|name| service_dir(attempt, &name));
    for dir in services.chain([holder_dir(attempt)]) {
        if dir.exists() {
            end(runtime.as_ref(), &dir).await?;
            runtime.remove(&dir).await?;
        }
    }
    Ok(())
}

/// The step's verdict in the light of its services' ends: what lost a service is no plain success.
pub(in crate::attempt) fn judged(verdict: Verdict, services: &[ServiceReport]) -> Verdict {
    let mut lost: Vec<String> = services
        .iter()
        .filter_map(|service| {
            let end = service.ended.as_ref()?;
            // One that was done and said so by 0 is in the report only.
            let is_fine = end.exit.as_ref().is_some_and(|exit| exit.code == Some(0));
            // Nobody knows when one ended that left no record.
            let when = if end.exit.is_some() {
                "before the step had ended, "
            } else {
                ""
            };
            (!is_fine).then(|| format!("{when}service {} {}", service.name, end.message))
        })
        .collect();
    match verdict {
        verdict if lost.is_empty() => verdict,
        Verdict::Succeeded => Verdict::Degraded { reasons: lost },
        Verdict::Degraded { mut reasons } => {
            reasons.truncate(limits::REASONS.saturating_sub(lost.len()));
            reasons.append(&mut lost);
            Verdict::Degraded { reasons }
        }
        Verdict::Failed { failure } => {
            let message = format!("{}; {}", failure.message, lost.join("; "));
            Verdict::Failed {
                failure: Failure {
                    message: Failure::new(FailureKind::Internal, message).message,
                    ..failure
                },
            }
        }
        Verdict::Cancelled { confirmed } => Verdict::Cancelled { confirmed },
    }
}
