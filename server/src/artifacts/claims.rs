//! What an agent's report says was stored, against what was.

use types::{AttemptReport, Failure, FailureKind, LeaseToken, Object, RunId, Verdict};

use crate::store::{SharedStore, StoreError};

/// Takes out of a report what this server does not hold of the attempt; a success that counted on it is none. What the
/// store holds of the run and cannot read is not held: it can be read no better the next time that it is reported.
///
/// # Errors
/// The store cannot say now.
pub(crate) async fn held(
    store: &SharedStore,
    run: &RunId,
    token: &LeaseToken,
    report: &mut AttemptReport,
) -> Result<(), StoreError> {
    if report.artifacts.is_empty() {
        return Ok(());
    }
    let (rows, why) = match store.artifacts(run).await {
        Ok(rows) => (rows, "which this server does not hold"),
        Err(error @ (StoreError::Corrupt(_) | StoreError::Invalid(_))) => {
            tracing::error!(%run, %token, %error, "what is stored of a run's artifacts cannot be read: look at the disk");
            let why = "and what this server holds of the run's artifacts is damaged; its log says more";
            (Vec::new(), why)
        }
        Err(error) => return Err(error),
    };
    let (held, not): (Vec<_>, Vec<_>) =
        std::mem::take(&mut report.artifacts)
            .into_iter()
            .partition(|claimed| {
                rows.iter()
                    .any(|row| row.token == *token && row.artifact == *claimed)
            });
    report.artifacts = held;
    if let (Some(first), Verdict::Succeeded | Verdict::Degraded { .. }) = (not.first(), &report.verdict) {
        let name: String = first.name.chars().filter(|c| !c.is_control()).take(63).collect();
        let message = format!("the agent reported the artifact {name}, {why}");
        report.verdict = Verdict::Failed {
            failure: Failure::new(FailureKind::Output, message),
        };
        report.outputs = Object::new();
    }
    Ok(())
}
