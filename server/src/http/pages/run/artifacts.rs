//! `GET /runs/{id}/artifacts/{step}/{name}`: what a step left, as it is, to be kept and never to be shown here.

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use engine::Run;
use futures::StreamExt;
use proto::v1;
use tonic::Status;

use super::{Pairs, Path, Refusal, Room, State};
use crate::api::{artifact_bytes, artifacts_of, find_artifact};
use ::pages::run::Artifact;

pub(super) async fn download(
    State(room): State<Room>,
    Path((id, step, name)): Path<(String, String, String)>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let begin = async {
        let asked = room.asked(&id, pairs)?;
        let request = v1::GetArtifactRequest {
            run_id: id,
            step,
            index: asked.params.number("index")?,
            attempt: asked.params.number("attempt")?.unwrap_or(0),
            name,
            offset: 0,
        };
        let look = |run: &Run| find_artifact(run, &request);
        let artifact = room.look(&asked.id, look).await??;
        let bytes = artifact_bytes(&room.core, &artifact.sha256, 0).await?;
        Ok::<_, Status>((artifact, bytes))
    };
    let (artifact, bytes) = begin.await.map_err(|status| room.refuse(status))?;
    let end = if artifact.media_type == types::TAR {
        ".tar"
    } else {
        ""
    };
    // Steps and names are plain words. Whatever the step calls its type, a browser is not to act on it.
    let name = format!("{}-{}{end}", artifact.step, artifact.name);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, artifact.bytes.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        (header::ETAG, format!("\"{}\"", artifact.sha256)),
    ];
    // One that breaks off is seen to; one that ends early is not.
    let body = Body::from_stream(bytes.map(|piece| piece.map_err(std::io::Error::other)));
    Ok((headers, body).into_response())
}

/// What a step's page lists: of the whole step, or of one item.
pub(super) fn listed(run: &Run, step: &str, item: Option<u32>) -> Vec<Artifact> {
    let of_step = |one: &v1::RunArtifact| one.step == step && (item.is_none() || one.index == item);
    let artifact = |one: v1::RunArtifact| {
        let index = one
            .index
            .map_or_else(String::new, |index| format!("&index={index}"));
        Artifact {
            at: format!(
                "/runs/{}/artifacts/{}/{}?attempt={}{index}",
                run.id, one.step, one.name, one.attempt
            ),
            name: one.name,
            index: one.index,
            attempt: one.attempt,
            bytes: one.bytes,
            media_type: one.media_type,
            sha256: one.sha256,
            removed_at_ms: None,
        }
    };
    artifacts_of(run)
        .into_iter()
        .filter(of_step)
        .map(artifact)
        .collect()
}
