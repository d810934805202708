//! What a step leaves, on its way to the server before the report that counts on it; and what an earlier step left, on its way
//! here. Both on connections of their own, so that they hold up neither reports nor logs.

mod fetch;
mod send;

use runtime::{ArtifactEnd, ArtifactRecord, AttemptDir, SpecArtifact};
use types::{
    Artifact, AttemptReport, ContainerWork, Failure, FailureKind, OCTETS, Object, TAR, Verdict, Work,
    WorkBody,
};

use super::Job;

pub(super) use fetch::fetch;

/// As the runtime keeps them.
pub(super) fn of(container: &ContainerWork) -> Vec<SpecArtifact> {
    let artifacts = container.artifacts.iter().map(|(name, artifact)| SpecArtifact {
        name: name.clone(),
        path: artifact.path.clone(),
    });
    artifacts.collect()
}

/// Delivers what was kept, and puts into the report what the server holds by then. What cannot be delivered makes a success
/// a failure, and is added to what a failure says: nothing is left out without a word. A cancel is not held up. The end of the
/// lease ends nothing here: no process is left, and what was done is not undone because nobody could be told of it in time.
pub(super) async fn deliver(job: &Job, work: &Work, left: &[ArtifactRecord], report: &mut AttemptReport) {
    let WorkBody::Container(container) = &work.body else {
        return;
    };
    if left.is_empty() || matches!(report.verdict, Verdict::Cancelled { .. }) {
        return;
    }
    let mut problems = Vec::new();
    for record in left {
        let Some(decl) = container.artifacts.get(&record.name) else {
            continue;
        };
        let (offset, bytes, sha256, is_directory) = match &record.end {
            ArtifactEnd::Missing if decl.optional => continue,
            ArtifactEnd::Missing => {
                problems.push(format!(
                    "artifact {}: there is nothing at {}",
                    record.name, decl.path
                ));
                continue;
            }
            ArtifactEnd::Refused { why } => {
                problems.push(format!("artifact {}: {why}", record.name));
                continue;
            }
            ArtifactEnd::Kept {
                offset,
                bytes,
                sha256,
                is_directory,
            } => (*offset, *bytes, sha256, *is_directory),
        };
        let usual = if is_directory { TAR } else { OCTETS };
        let artifact = Artifact {
            name: record.name.clone(),
            bytes,
            sha256: sha256.clone(),
            media_type: decl.media_type.clone().unwrap_or_else(|| usual.to_owned()),
        };
        let file = AttemptDir::new(job.dir()).artifacts();
        let sent = tokio::select! {
            sent = send::send(job, &file, offset, &artifact) => sent,
            () = job.reins.asked.cancelled() => {
                stopped(report);
                return;
            }
        };
        match sent {
            Ok(()) => report.artifacts.push(artifact),
            Err(why) => problems.push(format!("artifact {}: {why}", artifact.name)),
        }
    }
    tell(job, problems, report);
}

/// The server asks for its end while what it left is delivered; its process is over already.
fn stopped(report: &mut AttemptReport) {
    report.artifacts.clear();
    match &mut report.verdict {
        Verdict::Failed { failure } => {
            let message = format!(
                "{}; what it left is not stored: it was ended before",
                failure.message
            );
            failure.message = Failure::new(failure.kind, message).message;
        }
        verdict => {
            *verdict = Verdict::Cancelled { confirmed: true };
            report.outputs = Object::new();
        }
    }
}

fn tell(job: &Job, problems: Vec<String>, report: &mut AttemptReport) {
    if problems.is_empty() {
        return;
    }
    let told = job.context.masker().text(&problems.join("; "));
    tracing::warn!(attempt = %job.meta.key, told, "what a step left is not stored");
    match &mut report.verdict {
        Verdict::Succeeded | Verdict::Degraded { .. } => {
            let mut failure = Failure::new(FailureKind::Output, told);
            failure.exit_code = report.exit.as_ref().and_then(|exit| exit.code);
            report.verdict = Verdict::Failed { failure };
            report.outputs = Object::new();
        }
        Verdict::Failed { failure } => {
            let message = format!("{}; {told}", failure.message);
            failure.message = Failure::new(failure.kind, message).message;
        }
        Verdict::Cancelled { .. } => {}
    }
}
