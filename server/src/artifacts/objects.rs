//! Objects by their sum: put whole, read with their sum counted again.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart, path::Path};
use sha2::{Digest, Sha256};
use types::limits::ARTIFACT_CHUNK_BYTES;

use super::{Artifacts, Incoming};

/// Up to this size an object is put by one request, beyond it in parts of it (S3 takes none below 5 MiB but the last).
const PART: usize = 5 * 1024 * 1024;
/// Parts under way at once.
const PARTS: usize = 2;
/// How long the store may be silent when it is read.
const SILENCE: Duration = Duration::from_secs(60);

/// Pieces of an object, at most [`ARTIFACT_CHUNK_BYTES`] each.
pub(crate) type Bytes = BoxStream<'static, Result<bytes::Bytes, ReadError>>;

/// Why an object cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// There is none, though there should be.
    #[error("the artifact store does not have it any more")]
    Gone,
    /// Its bytes do not have its sum.
    #[error("what the artifact store holds does not have its sum any more")]
    Damaged,
    /// Not now.
    #[error("the artifact store cannot be read now: {0}")]
    Unavailable(String),
}

fn path(sha256: &str) -> Path {
    Path::from(format!("sha256/{}/{sha256}", sha256.get(..2).unwrap_or_default()))
}

impl Artifacts {
    /// Puts what has come whole and was checked. What was there under this sum is the same, or was damaged: it is put anew.
    ///
    /// # Errors
    /// The store does not take it now.
    pub(crate) async fn put(&self, incoming: &Incoming, sha256: &str) -> Result<(), String> {
        let (read, put) = (
            |error: std::io::Error| format!("what came cannot be read: {error}"),
            |error: object_store::Error| error.to_string(),
        );
        if incoming.held <= PART as u64 {
            let payload = PutPayload::from(incoming.read(0, PART).await.map_err(read)?);
            self.objects.put(&path(sha256), payload).await.map_err(put)?;
            return Ok(());
        }
        let upload = self.objects.put_multipart(&path(sha256)).await.map_err(put)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut at = 0;
        while at < incoming.held {
            if let Err(error) = upload.wait_for_capacity(PARTS).await {
                take_back(upload).await;
                return Err(put(error));
            }
            match incoming.read(at, PART).await {
                Ok(data) => {
                    at += data.len() as u64;
                    upload.put(data.into());
                }
                Err(error) => {
                    take_back(upload).await;
                    return Err(read(error));
                }
            }
        }
        upload.finish().await.map_err(put)?;
        Ok(())
    }

    /// Removes the bytes of a sum; none there is fine.
    ///
    /// # Errors
    /// The store refuses.
    pub(super) async fn delete(&self, sha256: &str) -> Result<(), object_store::Error> {
        match self.objects.delete(&path(sha256)).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The bytes from an offset on. All are read and summed; the last word is an error when the sum is another.
    ///
    /// # Errors
    /// There is no such object, or it cannot be read now.
    pub(crate) async fn read(&self, sha256: &str, offset: u64) -> Result<Bytes, ReadError> {
        let path = path(sha256);
        let found = tokio::time::timeout(SILENCE, self.objects.get(&path)).await;
        let found = found.map_err(|_| silent())?.map_err(unreadable)?;
        let state = Reading {
            stream: found.into_stream(),
            hash: Some(Sha256::new()),
            skip: offset,
            wanted: sha256.to_owned(),
            rest: bytes::Bytes::new(),
        };
        Ok(futures::stream::unfold(state, next).boxed())
    }
}

struct Reading {
    stream: BoxStream<'static, object_store::Result<bytes::Bytes>>,
    /// None: all was said.
    hash: Option<Sha256>,
    /// Bytes that are summed and not given.
    skip: u64,
    wanted: String,
    rest: bytes::Bytes,
}

async fn next(mut state: Reading) -> Option<(Result<bytes::Bytes, ReadError>, Reading)> {
    loop {
        if !state.rest.is_empty() {
            let piece = state.rest.split_to(state.rest.len().min(ARTIFACT_CHUNK_BYTES));
            return Some((Ok(piece), state));
        }
        let Ok(piece) = tokio::time::timeout(SILENCE, state.stream.next()).await else {
            state.hash = None;
            return Some((Err(silent()), state));
        };
        match piece {
            Some(Ok(mut data)) => {
                state.hash.as_mut()?.update(&data);
                let skipped = usize::try_from(state.skip).unwrap_or(usize::MAX).min(data.len());
                state.skip -= skipped as u64;
                state.rest = data.split_off(skipped);
            }
            Some(Err(error)) => {
                state.hash = None;
                return Some((Err(unreadable(error)), state));
            }
            None => {
                let sum = data_encoding::HEXLOWER.encode(&state.hash.take()?.finalize());
                return (sum != state.wanted).then_some((Err(ReadError::Damaged), state));
            }
        }
    }
}

fn silent() -> ReadError {
    ReadError::Unavailable(format!("it is silent for {} s", SILENCE.as_secs()))
}

fn unreadable(error: object_store::Error) -> ReadError {
    match error {
        object_store::Error::NotFound { .. } => ReadError::Gone,
        other => ReadError::Unavailable(other.to_string()),
    }
}

/// Parts of an upload that is given up: a bucket keeps them otherwise.
async fn take_back(upload: WriteMultipart) {
    if let Err(error) = upload.abort().await {
        tracing::warn!(%error, "an upload to the artifact store cannot be taken back");
    }
}
