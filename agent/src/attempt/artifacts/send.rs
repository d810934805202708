//! One artifact to the server: by offset, again and again, until it says that it is stored or that it is not wanted.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use proto::v1::{self, put_artifact_request::Message as Up};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use types::{Artifact, limits};

use crate::{
    attempt::Job,
    link::{self, PATIENCE, Tries},
};

/// Pieces on their way before the server has answered for them.
const AHEAD: usize = 8;
/// Bytes that are looked through for secrets at once, and how far such looks lie over each other.
const LOOK: usize = 1024 * 1024;
const OVER: usize = 256 * 1024;
/// How often what came may lack its sum before that is no accident.
const DAMAGED: u32 = 3;
/// Without an answer for this long the connection is given up. A bucket behind the server may take its time and say so
/// itself; a dead peer is found by the connection's keepalive.
const SILENCE: Duration = Duration::from_secs(180);

/// Why a try is over.
enum Over {
    /// For good.
    Refused(String),
    /// The server is there and cannot take it now.
    NotNow(String),
    /// What was sent did not arrive as it was.
    Damaged(String),
    /// The server was not reached.
    Away(String),
}

/// Sends it; returns once it is stored.
///
/// # Errors
/// Why it is not and will not be.
pub(super) async fn send(job: &Job, file: &Path, from: u64, artifact: &Artifact) -> Result<(), String> {
    look_for_secrets(job, file, from, artifact).await?;
    let mut tries = Tries::new();
    let mut damaged = 0;
    let mut not_now: Option<Instant> = None;
    loop {
        let (begun, mut arrived) = (Instant::now(), false);
        let over = match once(job, file, from, artifact, &mut arrived).await {
            Ok(()) => return Ok(()),
            Err(over) => over,
        };
        if arrived {
            not_now = None;
        }
        let why = match over {
            Over::Refused(why) => return Err(format!("the server does not take it: {why}")),
            Over::Damaged(why) => {
                damaged += 1;
                if damaged >= DAMAGED {
                    return Err(format!(
                        "it did not arrive as it was sent, {damaged} times: {why}"
                    ));
                }
                why
            }
            Over::NotNow(why) => {
                let since = *not_now.get_or_insert(begun);
                let allowed = Duration::from_millis(limits::ARTIFACT_REFUSED_MS);
                if since.elapsed() >= allowed {
                    return Err(format!(
                        "the server could not store it for {} s: {why}",
                        allowed.as_secs()
                    ));
                }
                why
            }
            Over::Away(why) => why,
        };
        let wait = tries.next(begun.elapsed());
        tracing::debug!(attempt = %job.meta.key, name = artifact.name, why, ?wait, "an artifact is not stored yet");
        tokio::time::sleep(wait).await;
    }
}

/// What is kept is no place for a secret, as an output is none.
async fn look_for_secrets(job: &Job, file: &Path, from: u64, artifact: &Artifact) -> Result<(), String> {
    let (masker, path, bytes) = (job.context.masker(), file.to_owned(), artifact.bytes);
    let look = move || -> std::io::Result<bool> {
        let file = File::open(path)?;
        let mut buffer = vec![0; LOOK];
        let mut at = 0;
        while at < bytes {
            let wanted = usize::try_from(bytes - at).unwrap_or(LOOK).min(LOOK);
            file.read_exact_at(&mut buffer[..wanted], from + at)?;
            if masker.finds(&buffer[..wanted]) {
                return Ok(true);
            }
            if wanted < LOOK {
                break;
            }
            at += (LOOK - OVER) as u64;
        }
        Ok(false)
    };
    match node::blocking::run(look).await {
        Ok(Ok(false)) => Ok(()),
        Ok(Ok(true)) => Err("it holds the value of a secret of this agent: artifacts are kept".to_owned()),
        Ok(Err(error)) => Err(format!("it cannot be read on its agent: {error}")),
        Err(error) => Err(format!("it cannot be read on its agent: {error}")),
    }
}

async fn once(
    job: &Job,
    file: &Path,
    from: u64,
    artifact: &Artifact,
    arrived: &mut bool,
) -> Result<(), Over> {
    let channel = job.context.server.connect().await.map_err(Over::Away)?;
    let (up, messages) = mpsc::channel(AHEAD);
    let begin = Up::Begin(v1::ArtifactBegin {
        attempt: Some(crate::convert::attempt(&job.meta.key)),
        token: job.token.to_string(),
        name: artifact.name.clone(),
        bytes: artifact.bytes,
        sha256: artifact.sha256.clone(),
        media_type: artifact.media_type.clone(),
    });
    // In the stream before the call: the call returns only with the answer's headers.
    let first = up.try_send(v1::PutArtifactRequest { message: Some(begin) });
    first.map_err(|_| Over::Away("no room for the first message".to_owned()))?;
    let mut client = link::client(channel);
    let called = tokio::time::timeout(PATIENCE, client.put_artifact(ReceiverStream::new(messages))).await;
    let mut answers = match called {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => return Err(over(&status)),
        Err(_) => return Err(Over::Away("no answer".to_owned())),
    };
    let Some(held) = answer(&mut answers).await? else {
        return Ok(());
    };
    let pieces = pieces(up, file.to_owned(), from, held, artifact.bytes);
    let stored = async {
        while answer(&mut answers).await?.is_some() {
            *arrived = true;
        }
        Ok(())
    };
    tokio::pin!(stored);
    tokio::select! {
        done = &mut stored => done,
        read = pieces => match read {
            // All is on its way: the answers say the rest.
            Ok(()) => stored.await,
            Err(error) => Err(Over::Refused(format!("it cannot be read on its agent: {error}"))),
        },
    }
}

/// How much is held; none: it is stored.
async fn answer(answers: &mut Streaming<v1::PutArtifactResponse>) -> Result<Option<u64>, Over> {
    let answer = tokio::time::timeout(SILENCE, answers.message()).await;
    let answer = answer.map_err(|_| Over::Away("the server is silent".to_owned()))?;
    match answer.map_err(|status| over(&status))? {
        None => Err(Over::Away("the server ended the stream".to_owned())),
        Some(answer) if !answer.refused.is_empty() => Err(Over::Refused(answer.refused)),
        Some(answer) if answer.stored => Ok(None),
        Some(answer) => Ok(Some(answer.offset)),
    }
}

/// Reads and sends pieces; ends early where nobody takes them.
async fn pieces(
    up: mpsc::Sender<v1::PutArtifactRequest>,
    file: PathBuf,
    from: u64,
    mut offset: u64,
    bytes: u64,
) -> std::io::Result<()> {
    while offset < bytes {
        let Ok(permit) = up.reserve().await else {
            return Ok(());
        };
        let length = usize::try_from(bytes - offset)
            .unwrap_or(usize::MAX)
            .min(limits::ARTIFACT_CHUNK_BYTES);
        let (path, at) = (file.clone(), from + offset);
        let read = node::blocking::run(move || {
            let mut data = vec![0; length];
            File::open(path)?.read_exact_at(&mut data, at)?;
            let digest = Sha256::digest(&data).to_vec();
            Ok::<_, std::io::Error>((data, digest))
        });
        let (data, digest) = read.await.map_err(std::io::Error::other)??;
        permit.send(v1::PutArtifactRequest {
            message: Some(Up::Piece(v1::ArtifactPiece { offset, data, digest })),
        });
        offset += length as u64;
    }
    // The stream stays open: its end would be the end of what is sent, not of what is stored.
    up.closed().await;
    Ok(())
}

fn over(status: &Status) -> Over {
    let why = status.message().to_owned();
    match status.code() {
        Code::Unimplemented => Over::Refused("it is of a version that keeps no artifacts".to_owned()),
        Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition | Code::NotFound => {
            Over::Refused(why)
        }
        Code::ResourceExhausted | Code::Internal | Code::DataLoss => Over::NotNow(why),
        Code::Aborted => Over::Damaged(why),
        _ => Over::Away(why),
    }
}
