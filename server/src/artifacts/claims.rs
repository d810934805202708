//! What an agent's report says was stored, against what was.

use types::{AttemptReport, Failure, FailureKind, LeaseToken, Object, RunId, Verdict};

use crate::store::{SharedStore, StoreError};

/// Takes out of a report what this server does not hold of the attempt; a success that counted on it is none.
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
    let rows = store.artifacts(run).await?;
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
        let message = format!("the agent reported the artifact {name}, which this server does not hold");
        report.verdict = Verdict::Failed {
            failure: Failure::new(FailureKind::Output, message),
        };
        report.outputs = Object::new();
    }
    Ok(())
}
