//! Artifacts from agents and to them: fenced by the lease of a live attempt, and by what its work names.

use std::{collections::BTreeMap, time::Duration};

use engine::{At, Run};
use futures::{StreamExt, stream::BoxStream};
use proto::v1::{self, put_artifact_request::Message as Up};
use sha2::{Digest, Sha256};
use tonic::{Status, Streaming};
use types::{Artifact, FileFrom, LeaseToken, RunId, Timestamp, WorkBody, limits};

use super::{
    convert, errors,
    stream::{Out, answer},
};
use crate::{
    Core,
    artifacts::{Artifacts, Incoming, ReadError, Writing, Wrong},
    store::{ArtifactRow, StoreError},
};

/// Answers that wait for the agent.
const AHEAD: usize = 16;
/// Pieces that wait for the agent.
const PIECES_AHEAD: usize = 4;
/// How long an agent may leave the server waiting for its next message.
const NEXT: Duration = Duration::from_secs(60);
/// How often an agent hears of a store that takes its time.
const STILL_HERE: Duration = Duration::from_secs(20);
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
    let writing = artifacts.turns.take(token, &artifact.name, run).await;
    let writing =
        writing.ok_or_else(|| errors::unavailable("the artifact is being sent by another stream"))?;
    let begun = promised(core, artifacts, &announced, &writing).await?;
    let mut incoming = match begun {
        Begun::Goes(incoming) => incoming,
        Begun::Stored => return stored(out, artifact.bytes).await,
        Begun::Refused(why) => return refuse(out, why).await,
    };
    if take(core, &mut up, &mut incoming, artifact, &writing, out).await? {
        keep(core, artifacts, incoming, announced, out).await
    } else {
        incoming.forget().await;
        Ok(())
    }
}

/// How an upload begins.
enum Begun {
    Goes(Incoming),
    Stored,
    Refused(String),
}

/// Promises it room, if there is some and it is not there yet.
async fn promised(
    core: &Core,
    artifacts: &Artifacts,
    announced: &Announced,
    writing: &Writing,
) -> Result<Begun, Status> {
    let Announced {
        run,
        at,
        token,
        artifact,
    } = announced;
    let _one_after_another = artifacts.turns.promising.lock().await;
    // Anew: it may have been over by its turn, and other attempts may have begun.
    let state = live(core, run, at, token).await?;
    if let Err(why) = declared(state.as_ref(), announced) {
        return Ok(Begun::Refused(why));
    }
    // Before what is stored: what is stored meanwhile is in both, and is taken out of this.
    let mut on_the_way = artifacts.turns.promised(run, writing);
    let is_live = |token: &LeaseToken| {
        state
            .as_ref()
            .is_some_and(|state| crate::artifacts::is_live(state, token))
    };
    let came = artifacts.tidy(run, is_live).await.map_err(no_room)?;
    for (key, bytes) in came {
        let promised = on_the_way.entry(key).or_default();
        *promised = bytes.max(*promised);
    }
    let rows = rows(core, run).await?;
    on_the_way.remove(&(token.clone(), artifact.name.clone()));
    for row in &rows {
        on_the_way.remove(&(row.token.clone(), row.artifact.name.clone()));
    }
    let same = |row: &&ArtifactRow| row.token == *token && row.artifact.name == artifact.name;
    match rows.iter().find(same) {
        Some(row) if row.artifact == *artifact => return Ok(Begun::Stored),
        Some(_) => {
            let why = "another content is stored under this name already";
            return Ok(Begun::Refused(why.to_owned()));
        }
        None => {}
    }
    let taken = rows
        .iter()
        .map(|row| (&row.token, row.artifact.bytes))
        .chain(on_the_way.iter().map(|((token, _), bytes)| (token, *bytes)));
    if let Err(why) = within_quota(taken, announced) {
        return Ok(Begun::Refused(why));
    }
    writing.promise(artifact.bytes);
    let incoming = artifacts.incoming(run, token, artifact).await;
    Ok(Begun::Goes(incoming.map_err(no_room)?))
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
    let state = match core.runs.load(run).await {
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

/// Whether there is room beside what is stored and what is on its way, by lease.
fn within_quota<'a>(
    taken: impl Iterator<Item = (&'a LeaseToken, u64)>,
    announced: &Announced,
) -> Result<(), String> {
    let bytes = announced.artifact.bytes;
    let (mut attempt, mut run) = (bytes, bytes);
    for (token, bytes) in taken {
        run = run.saturating_add(bytes);
        if *token == announced.token {
            attempt = attempt.saturating_add(bytes);
        }
    }
    for (what, all, most) in [
        ("attempt", attempt, limits::ARTIFACT_BYTES),
        ("run", run, limits::ARTIFACT_RUN_BYTES),
    ] {
        if all > most {
            return Err(format!(
                "it has {bytes} bytes, with which the {what} would have {all}: at most {most}"
            ));
        }
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
        incoming.add(piece.data).await.map_err(no_room)?;
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
    let Some(_storing) = artifacts.storing(&artifact.sha256) else {
        return Err(errors::exhausted(
            "the same bytes are being removed from the artifact store",
            AGAIN,
        ));
    };
    if let Err(why) = put_whole(artifacts, &incoming, &artifact, out).await {
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

/// Into the store, which may take its time: the agent hears meanwhile that somebody is here. One that is gone changes
/// nothing: all of it has come, and what is stored is not sent again.
async fn put_whole(
    artifacts: &Artifacts,
    incoming: &Incoming,
    artifact: &Artifact,
    out: &Out<v1::PutArtifactResponse>,
) -> Result<(), String> {
    let putting = artifacts.put(incoming, &artifact.sha256);
    tokio::pin!(putting);
    loop {
        tokio::select! {
            done = &mut putting => return done,
            () = tokio::time::sleep(STILL_HERE) => drop(held(out, artifact.bytes).await),
        }
    }
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
        WorkBody::Container(container) => container.all_files().any(
            |(_, file)| matches!(&file.from, FileFrom::Artifact(artifact) if artifact.sha256 == request.sha256),
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
        let wrap = |data: bytes::Bytes| v1::GetAttemptArtifactResponse { data: data.to_vec() };
        pass_on(&core, &request.sha256, bytes, &out, wrap).await
    }))
}

/// What the store holds of this sum.
pub(crate) async fn read(core: &Core, sha256: &str, offset: u64) -> Result<crate::artifacts::Bytes, Status> {
    let Some(artifacts) = &core.config.artifacts else {
        return Err(Status::failed_precondition("this server keeps no artifacts"));
    };
    match artifacts.read(sha256, offset).await {
        Ok(bytes) => Ok(bytes),
        Err(ReadError::Gone) => match removed(core, vec![sha256.to_owned()]).await?.remove(sha256) {
            Some(at) => Err(was_removed(sha256, core.clock.now().since(at))),
            None => Err(unreadable(core, sha256, &ReadError::Gone)),
        },
        Err(error) => Err(unreadable(core, sha256, &error)),
    }
}

/// When the bytes of these sums were removed by the server's own bounds.
pub(crate) async fn removed(core: &Core, sums: Vec<String>) -> Result<BTreeMap<String, Timestamp>, Status> {
    let removed = core.store.removed(&sums).await;
    removed.map_err(|error| errors::store_status(&error))
}

/// As the operator wants it.
fn was_removed(sha256: &str, ago: types::Millis) -> Status {
    let ago = types::text::duration(ago);
    let why = format!(
        "its bytes (sha256 {sha256}) were removed {ago} ago by the server's --artifacts-max-age or --artifacts-max-bytes; the \
         history keeps its name, size and sum"
    );
    errors::not_found("artifact", sha256, why)
}

/// What a person does about it is in the message: a restored server has the histories without the bytes.
fn unreadable(core: &Core, sha256: &str, error: &ReadError) -> Status {
    tracing::error!(sha256, %error, "an artifact cannot be read");
    let place = core.config.artifacts.as_ref().map_or("", Artifacts::place);
    match error {
        ReadError::Gone => Status::data_loss(format!(
            "the history says that it was stored, and the server's artifact store {place} does not have its bytes (sha256 \
             {sha256}): a backup holds the histories only; put the copy of that store back"
        )),
        ReadError::Damaged => Status::data_loss(format!(
            "what the server's artifact store {place} holds under sha256 {sha256} does not have that sum any more"
        )),
        ReadError::Unavailable(_) => errors::unavailable("the server's artifact store cannot be read now"),
    }
}

pub(super) async fn pass_on<T>(
    core: &Core,
    sha256: &str,
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
            Some(Err(error)) => return Err(unreadable(core, sha256, &error)),
        }
    }
}
