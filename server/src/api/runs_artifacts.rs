//! What a run left, for people.

use engine::Run;
use futures::stream::BoxStream;
use proto::v1::{self, get_artifact_response::Part};
use tonic::Status;
use types::Artifact;

use super::{
    artifacts::{pass_on, read, removed},
    brief, errors, paging,
    stream::answer,
};
use crate::Core;

/// Pieces that wait for a reader.
const AHEAD: usize = 4;

/// All that a run left, in the order of its steps, items and attempts.
pub(crate) fn list(run: &Run) -> Vec<v1::RunArtifact> {
    let mut all = Vec::new();
    for (plan, step) in run.plan.steps.iter().zip(&run.steps) {
        for (n, item) in step.items.iter().enumerate() {
            let index = plan
                .fan_out
                .is_some()
                .then(|| u32::try_from(n).unwrap_or(u32::MAX));
            let mut add = |attempt: u32, artifacts: &[Artifact]| {
                all.extend(artifacts.iter().map(|artifact| v1::RunArtifact {
                    step: plan.key.clone(),
                    index,
                    attempt,
                    name: artifact.name.clone(),
                    bytes: artifact.bytes,
                    sha256: artifact.sha256.clone(),
                    media_type: artifact.media_type.clone(),
                    removed_at_ms: None,
                }));
            };
            if let Some(taken) = &item.taken {
                add(0, &taken.artifacts);
            }
            for (attempt, one) in (1..).zip(&item.attempts) {
                add(attempt, &one.artifacts);
            }
        }
    }
    all
}

/// As many as are asked for, behind those of the page before.
pub(super) async fn page(
    core: &Core,
    run: &Run,
    request: &v1::ListArtifactsRequest,
) -> Result<v1::ListArtifactsResponse, Status> {
    let mut artifacts = list(run);
    if !request.page_token.is_empty() {
        let last = artifacts.iter().position(|one| token(one) == request.page_token);
        let last = last.ok_or_else(|| {
            let why = "not a token of this list: give next_page_token of the page before";
            errors::invalid("page_token", why)
        })?;
        artifacts.drain(..=last);
    }
    let more = paging::cut(&mut artifacts, paging::limit(request.limit, paging::MOST));
    let next_page_token = artifacts.last().filter(|_| more).map(token).unwrap_or_default();
    let removed = removed(core, artifacts.iter().map(|one| one.sha256.clone()).collect()).await?;
    for one in &mut artifacts {
        one.removed_at_ms = removed.get(&one.sha256).map(|at| at.unix_ms());
    }
    Ok(v1::ListArtifactsResponse {
        artifacts,
        next_page_token,
    })
}

/// One of them, wherever it is in a list that has grown.
fn token(one: &v1::RunArtifact) -> String {
    let index = one.index.map_or_else(String::new, |index| index.to_string());
    format!("{}/{index}/{}/{}", one.step, one.attempt, one.name)
}

/// The one that is asked for.
pub(crate) fn find(run: &Run, request: &v1::GetArtifactRequest) -> Result<v1::RunArtifact, Status> {
    let Some((plan, _)) = run.step(&request.step) else {
        return Err(errors::not_found(
            "step",
            &request.step,
            format_args!("run {} has no step {:?}", run.id, brief(&request.step)),
        ));
    };
    if plan.fan_out.is_some() != request.index.is_some() {
        let why = if request.index.is_some() {
            format!("step {} has no items", plan.key)
        } else {
            format!("step {} has items: give the item's number", plan.key)
        };
        return Err(errors::invalid("index", why));
    }
    let fits = |one: &v1::RunArtifact| {
        one.step == request.step
            && one.index == request.index
            && one.name == request.name
            && (request.attempt == 0 || one.attempt == request.attempt)
    };
    let all = list(run);
    let found = all.iter().rev().find(|one| fits(one)).cloned();
    found.ok_or_else(|| {
        let of_step = all.iter().filter(|one| one.step == request.step);
        let names: std::collections::BTreeSet<&str> = of_step.map(|one| one.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let known = match names.as_slice() {
            [] => "it left none".to_owned(),
            names => format!("it left {}", names.join(", ")),
        };
        errors::not_found(
            "artifact",
            &request.name,
            format_args!(
                "step {} left no such artifact {:?}: {known}",
                plan.key,
                brief(&request.name)
            ),
        )
    })
}

/// What it is, then its bytes.
pub(super) async fn give(
    core: &Core,
    artifact: v1::RunArtifact,
    offset: u64,
) -> Result<BoxStream<'static, Result<v1::GetArtifactResponse, Status>>, Status> {
    if offset > artifact.bytes {
        return Err(errors::invalid(
            "offset",
            format_args!("beyond the artifact's {} bytes", artifact.bytes),
        ));
    }
    let bytes = read(core, &artifact.sha256, offset).await?;
    let core = core.clone();
    let part = |part| v1::GetArtifactResponse { part: Some(part) };
    Ok(answer(AHEAD, move |out| async move {
        let sha256 = artifact.sha256.clone();
        out.send(part(Part::Artifact(artifact))).await?;
        let wrap = |data: bytes::Bytes| part(Part::Data(data.to_vec()));
        pass_on(&core, &sha256, bytes, &out, wrap).await
    }))
}
