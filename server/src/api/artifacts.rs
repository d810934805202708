//! Artifacts from agents and to them: fenced by the lease of a live attempt, and by what its work names.

use std::time::Duration;

use engine::{At, Run};
use futures::{StreamExt, stream::BoxStream};
use proto::v1::{self, put_artifact_request::Message as Up};
use sha2::{Digest, Sha256};
use tonic::{Status, Streaming};
use types::{Artifact, FileFrom, LeaseToken, RunId, WorkBody, limits};

use super::{
    convert, errors,
    stream::{Out, answer},
};
use crate::{
    Core,
    artifacts::{Artifacts, Incoming, ReadError, Writing, Wrong},
    runs::load,
    store::{ArtifactRow, StoreError},
};

/// Answers that wait for the agent.
const AHEAD: usize = 16;
/// Pieces that wait for the agent.
const PIECES_AHEAD: usize = 4;
/// How long an agent may leave the server waiting for its next message.
const NEXT: Duration = Duration::from_secs(60);
/// What a server with no room now is asked again after.
const AGAIN: Duration = Duration::from_secs(1);

/// Answers with the stream at once.
pub(super) fn receive(
    core: Core,
    up: Streaming<v1::PutArtifactRequest>,
) -> BoxStream<'static, Result<v1::PutArtifactResponse, Status>> {
    answer(AHEAD, |out| async move {
        let ended = put(&core, up, &out).await;
        if let Err(status) = &ended {
            tracing::debug!(%status, "an upload of an artifact ended");
        }
        ended
    })
}

/// What an agent says that it will send, checked.
struct Announced {
    run: RunId,
    at: At,
    token: LeaseToken,
    artifact: Artifact,
}

async fn put(
    core: &Core,
    mut up: Streaming<v1::PutArtifactRequest>,
    out: &Out<v1::PutArtifactResponse>,
) -> Result<(), Status> {
    let Some(Up::Begin(begin)) = next(core, &mut up).await? else {
        return Err(errors::invalid("message", "the first message is `begin`"));
    };
    let announced = announced(begin)?;
    let Some(artifacts) = &core.config.artifacts else {
        return refuse(out, "this server keeps no artifacts".to_owned()).await;
    };
    let state = live(core, &announced.run, &announced.at, &announced.token).await?;
    if let Err(why) = declared(state.as_ref(), &announced) {
        return refuse(out, why).await;
    }
    let Announced {
        run, token, artifact, ..
    } = &announced;
    let writing = artifacts.turn(token, &artifact.name, run, artifact.bytes).await;
    let writing =
        writing.ok_or_else(|| errors::unavailable("the artifact is being sent by another stream"))?;
    let rows = rows(core, run).await?;
    let same = |row: &&ArtifactRow| row.token == *token && row.artifact.name == artifact.name;
    match rows.iter().find(same) {
        Some(row) if row.artifact == *artifact => return stored(out, artifact.bytes).await,
        Some(_) => {
            return refuse(
                out,
                "another content is stored under this name already".to_owned(),
            )
            .await;
        }
        None => {}
    }
    if let Err(why) = within_quota(&rows, &announced, artifacts.on_the_way(run, &writing)) {
        return refuse(out, why).await;
    }
    let mut incoming = artifacts.incoming(token, artifact).await.map_err(no_room)?;
    if take(core, &mut up, &mut incoming, artifact, &writing, out).await? {
        keep(core, artifacts, incoming, announced, out).await
    } else {
        Ok(())
    }
}

async fn next(core: &Core, up: &mut Streaming<v1::PutArtifactRequest>) -> Result<Option<Up>, Status> {
    let message = tokio::select! {
        message = tokio::time::timeout(NEXT, up.message()) => message,
        () = core.shutdown.cancelled() => return Err(errors::stopping()),
    };
    let message = message.map_err(|_| Status::deadline_exceeded("nothing came for a minute"))??;
    Ok(message.and_then(|message| message.message))
}

fn announced(begin: v1::ArtifactBegin) -> Result<Announced, Status> {
    let (run, at) = convert::attempt(begin.attempt)?;
    let artifact = Artifact {
        name: begin.name,
        bytes: begin.bytes,
        sha256: begin.sha256,
        media_type: begin.media_type,
    };
    if !artifact.is_well_formed() {
        return Err(errors::invalid(
            "begin",
            "the name, the sum or the media type is none",
        ));
    }
    Ok(Announced {
        run,
        at,
        token: convert::id(&begin.token, "begin.token")?,
        artifact,
    })
}

/// The run, when the token is that of the live attempt.
async fn live(core: &Core, run: &RunId, at: &At, token: &LeaseToken) -> Result<Option<Run>, Status> {
    let state = match load(&core.store, run).await {
        Ok(state) => state,
        Err(error @ StoreError::Corrupt(_)) => {
            tracing::error!(%run, %error, "an artifact of a run that cannot be read");
            None
        }
        Err(error) => return Err(errors::store_status(&error)),
    };
    Ok(state.filter(|state| {
        state.attempt(at).is_some_and(|attempt| {
            let lease = attempt.life.lease();
            !attempt.life.is_over() && lease.is_some_and(|lease| lease.token == *token)
        })
    }))
}

fn declared(state: Option<&Run>, announced: &Announced) -> Result<(), String> {
    let attempt = state.and_then(|state| state.attempt(&announced.at));
    let Some(attempt) = attempt else {
        tracing::warn!(run = %announced.run, token = %announced.token, "an artifact for a lease that is not live is refused");
        return Err("the token is not that of a live attempt".to_owned());
    };
    let WorkBody::Container(container) = &attempt.work.body else {
        return Err("an action keeps no artifacts".to_owned());
    };
    if container.artifacts.contains_key(&announced.artifact.name) {
        Ok(())
    } else {
        Err(format!(
            "its step declares no artifact {}",
            announced.artifact.name
        ))
    }
}

fn within_quota(rows: &[ArtifactRow], announced: &Announced, on_the_way: u64) -> Result<(), String> {
    let artifact = &announced.artifact;
    let of_attempt = rows.iter().filter(|row| row.token == announced.token);
    let sum = |bytes: u64| bytes.saturating_add(artifact.bytes);
    let attempt = sum(of_attempt.map(|row| row.artifact.bytes).sum());
    if attempt > limits::ARTIFACT_BYTES {
        let most = limits::ARTIFACT_BYTES;
        return Err(format!(
            "it has {} bytes, with which the attempt would have {attempt}: at most {most}",
            artifact.bytes
        ));
    }
    let run = sum(rows.iter().map(|row| row.artifact.bytes).sum::<u64>()).saturating_add(on_the_way);
    if run > limits::ARTIFACT_RUN_BYTES {
        let most = limits::ARTIFACT_RUN_BYTES;
        return Err(format!(
            "it has {} bytes, with which the run would have {run}: at most {most}",
            artifact.bytes
        ));
    }
    Ok(())
}

/// Takes what comes until it is whole; false when it was refused.
async fn take(
    core: &Core,
    up: &mut Streaming<v1::PutArtifactRequest>,
    incoming: &mut Incoming,
    artifact: &Artifact,
    writing: &Writing,
    out: &Out<v1::PutArtifactResponse>,
) -> Result<bool, Status> {
    held(out, incoming.held).await?;
    while incoming.held < artifact.bytes {
        let message = tokio::select! {
            message = next(core, up) => message?,
            () = writing.yielded.cancelled() => {
                return Err(Status::aborted("another stream goes on with this artifact"));
            }
        };
        let Some(Up::Piece(piece)) = message else {
            return Err(errors::invalid("message", "a piece was to come"));
        };
        let length = piece.data.len();
        if length == 0 || length > limits::ARTIFACT_CHUNK_BYTES || piece.offset != incoming.held {
            let why = format_args!("1 to {} bytes at {}", limits::ARTIFACT_CHUNK_BYTES, incoming.held);
            return Err(errors::invalid("piece", why));
        }
        if incoming.held + length as u64 > artifact.bytes {
            refuse(out, "more came than was told".to_owned()).await?;
            return Ok(false);
        }
        if Sha256::digest(&piece.data)[..] != piece.digest[..] {
            return Err(Status::aborted(
                "a piece does not have its sum: it was damaged on its way",
            ));
        }
        incoming.add(&piece.data).await.map_err(no_room)?;
        held(out, incoming.held).await?;
    }
    Ok(true)
}

async fn keep(
    core: &Core,
    artifacts: &Artifacts,
    mut incoming: Incoming,
    announced: Announced,
    out: &Out<v1::PutArtifactResponse>,
) -> Result<(), Status> {
    let Announced {
        run, token, artifact, ..
    } = announced;
    match incoming.check(&artifact).await {
        Ok(()) => {}
        Err(Wrong::Sum) => {
            tracing::warn!(%run, %token, name = artifact.name, "an artifact does not have the sum that was told");
            return Err(Status::aborted(
                "what came does not have the sum that was told: begin again",
            ));
        }
        Err(Wrong::Io(error)) => return Err(no_room(error)),
    }
    if let Err(why) = artifacts.put(&mut incoming, &artifact.sha256).await {
        tracing::error!(place = artifacts.place(), why, "the artifact store takes nothing");
        return Err(errors::exhausted(
            "the server's artifact store takes nothing now",
            AGAIN,
        ));
    }
    let bytes = artifact.bytes;
    let row = ArtifactRow {
        run,
        token,
        artifact,
        at: core.clock.now(),
    };
    core.store
        .keep_artifact(row)
        .await
        .map_err(|error| errors::store_status(&error))?;
    core.meter.artifact(bytes);
    incoming.forget().await;
    stored(out, bytes).await
}

async fn rows(core: &Core, run: &RunId) -> Result<Vec<ArtifactRow>, Status> {
    let rows = core.store.artifacts(run).await;
    rows.map_err(|error| errors::store_status(&error))
}

fn no_room(error: std::io::Error) -> Status {
    tracing::error!(%error, "an artifact on its way cannot be written");
    errors::exhausted("the server has no room for artifacts now", AGAIN)
}

async fn held(out: &Out<v1::PutArtifactResponse>, offset: u64) -> Result<(), Status> {
    let answer = v1::PutArtifactResponse {
        offset,
        ..v1::PutArtifactResponse::default()
    };
    Ok(out.send(answer).await?)
}

async fn stored(out: &Out<v1::PutArtifactResponse>, offset: u64) -> Result<(), Status> {
    let answer = v1::PutArtifactResponse {
        offset,
        stored: true,
        ..v1::PutArtifactResponse::default()
    };
    Ok(out.send(answer).await?)
}

async fn refuse(out: &Out<v1::PutArtifactResponse>, refused: String) -> Result<(), Status> {
    let answer = v1::PutArtifactResponse {
        refused,
        ..v1::PutArtifactResponse::default()
    };
    Ok(out.send(answer).await?)
}

/// The bytes of an artifact that the live attempt gets as a file.
pub(super) async fn give(
    core: &Core,
    request: v1::GetAttemptArtifactRequest,
) -> Result<BoxStream<'static, Result<v1::GetAttemptArtifactResponse, Status>>, Status> {
    let (run, at) = convert::attempt(request.attempt)?;
    let token: LeaseToken = convert::id(&request.token, "token")?;
    let state = live(core, &run, &at, &token).await?;
    let attempt = state.as_ref().and_then(|state| state.attempt(&at));
    let named = attempt.is_some_and(|attempt| match &attempt.work.body {
        WorkBody::Container(container) => container.files.values().any(
            |file| matches!(&file.from, FileFrom::Artifact(artifact) if artifact.sha256 == request.sha256),
        ),
        WorkBody::Action(_) => false,
    });
    if !named {
        tracing::warn!(%run, %token, "an artifact that no live attempt of this token gets is refused");
        return Err(Status::permission_denied(
            "the token is not that of a live attempt that gets this artifact",
        ));
    }
    let bytes = read(core, &request.sha256, request.offset).await?;
    let core = core.clone();
    Ok(answer(PIECES_AHEAD, |out| async move {
        pass_on(&core, bytes, &out, |data| v1::GetAttemptArtifactResponse {
            data: data.to_vec(),
        })
        .await
    }))
}

/// What the store holds of this sum.
pub(crate) async fn read(core: &Core, sha256: &str, offset: u64) -> Result<crate::artifacts::Bytes, Status> {
    let Some(artifacts) = &core.config.artifacts else {
        return Err(Status::failed_precondition("this server keeps no artifacts"));
    };
    artifacts
        .read(sha256, offset)
        .await
        .map_err(|error| unreadable(&error))
}

pub(super) fn unreadable(error: &ReadError) -> Status {
    tracing::error!(%error, "an artifact cannot be read");
    match error {
        ReadError::Gone | ReadError::Damaged => Status::data_loss(error.to_string()),
        ReadError::Unavailable(_) => errors::unavailable("the artifact store cannot be read now"),
    }
}

pub(super) async fn pass_on<T>(
    core: &Core,
    mut bytes: crate::artifacts::Bytes,
    out: &Out<T>,
    wrap: impl Fn(bytes::Bytes) -> T,
) -> Result<(), Status> {
    loop {
        let piece = tokio::select! {
            piece = bytes.next() => piece,
            () = core.shutdown.cancelled() => return Err(errors::stopping()),
        };
        match piece {
            None => return Ok(()),
            Some(Ok(piece)) => out.send(wrap(piece)).await?,
            Some(Err(error)) => return Err(unreadable(&error)),
        }
    }
}
