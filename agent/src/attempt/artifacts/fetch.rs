//! An earlier step's artifact from the server, through the lease of the step that gets it: by offset, held against its sum.

use std::{
    fs::File,
    io::Write,
    time::{Duration, Instant},
};

use proto::v1;
use sha2::{Digest, Sha256};
use tonic::Code;
use types::{ArtifactRef, limits};

use crate::{
    attempt::Job,
    link::{self, PATIENCE, Tries},
};

/// Without a byte for this long the connection is given up.
const SILENCE: Duration = Duration::from_secs(180);

/// What has come.
struct Got {
    file: File,
    hash: Sha256,
    bytes: u64,
}

/// Why a try is over.
enum Over {
    Refused(String),
    /// The server is there and cannot give it now.
    NotNow(String),
    Away(String),
}

/// Gets it into the file; the file is worth something only when this succeeds.
///
/// # Errors
/// Why it cannot be had.
pub(in crate::attempt) async fn fetch(job: &Job, artifact: &ArtifactRef, file: File) -> Result<(), String> {
    let mut got = Got {
        file,
        hash: Sha256::new(),
        bytes: 0,
    };
    let mut tries = Tries::new();
    let mut not_now: Option<Instant> = None;
    while got.bytes < artifact.bytes {
        let (begun, before) = (Instant::now(), got.bytes);
        let why = match once(job, artifact, &mut got).await {
            Ok(()) => break,
            Err(Over::Refused(why)) => return Err(why),
            Err(Over::NotNow(why)) => {
                let since = *not_now.get_or_insert(begun);
                let allowed = Duration::from_millis(limits::ARTIFACT_REFUSED_MS);
                if since.elapsed() >= allowed {
                    return Err(format!(
                        "the server could not give it for {} s: {why}",
                        allowed.as_secs()
                    ));
                }
                why
            }
            Err(Over::Away(why)) => why,
        };
        if got.bytes > before {
            not_now = None;
        }
        let wait = tries.next(begun.elapsed());
        tracing::debug!(attempt = %job.meta.key, name = artifact.name, why, ?wait, "an artifact is not here yet");
        tokio::time::sleep(wait).await;
    }
    let sum = data_encoding::HEXLOWER.encode(&got.hash.finalize());
    if got.bytes == artifact.bytes && sum == artifact.sha256 {
        Ok(())
    } else {
        Err("what came does not have the sum that the history tells".to_owned())
    }
}

async fn once(job: &Job, artifact: &ArtifactRef, got: &mut Got) -> Result<(), Over> {
    let channel = job.context.server.connect().await.map_err(Over::Away)?;
    let mut client = link::client(channel);
    let request = v1::GetAttemptArtifactRequest {
        attempt: Some(crate::convert::attempt(&job.meta.key)),
        token: job.token.to_string(),
        sha256: artifact.sha256.clone(),
        offset: got.bytes,
    };
    let called = tokio::time::timeout(PATIENCE, client.get_attempt_artifact(request)).await;
    let called = called.map_err(|_| Over::Away("no answer".to_owned()))?;
    let mut pieces = called.map_err(|status| over(&status))?.into_inner();
    loop {
        let piece = tokio::time::timeout(SILENCE, pieces.message()).await;
        let piece = piece.map_err(|_| Over::Away("the server is silent".to_owned()))?;
        let Some(piece) = piece.map_err(|status| over(&status))? else {
            return if got.bytes == artifact.bytes {
                Ok(())
            } else {
                Err(Over::Away("the server ended the stream".to_owned()))
            };
        };
        let data = piece.data;
        if got.bytes + data.len() as u64 > artifact.bytes {
            return Err(Over::Refused("more came than the history tells".to_owned()));
        }
        got.file
            .write_all(&data)
            .map_err(|error| Over::Refused(error.to_string()))?;
        got.hash.update(&data);
        got.bytes += data.len() as u64;
    }
}

fn over(status: &tonic::Status) -> Over {
    let why = status.message().to_owned();
    match status.code() {
        Code::Unimplemented => Over::Refused("the server is of a version that keeps no artifacts".to_owned()),
        Code::InvalidArgument
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::DataLoss => Over::Refused(why),
        Code::ResourceExhausted | Code::Internal => Over::NotNow(why),
        _ => Over::Away(why),
    }
}
