//! What steps left, over interruptions and held against its sum.

use std::time::{Duration, Instant};

use proto::v1::{GetArtifactRequest, ListArtifactsRequest, RunArtifact, get_artifact_response::Part};
use serde::Serialize;
use sha2::{Digest, Sha256};
use types::Timestamp;

use crate::{
    Client, Error, Page,
    view::{instant, some},
};

/// What is wrong with an answer without its first part.
const SILENT: &str = "nothing was said of the artifact";

/// Something that a step left and the server holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactView {
    /// The step's key.
    pub step: String,
    /// The item of a fan-out, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The attempt, from 1; 0 when it was taken over from an earlier run.
    pub attempt: u32,
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// What it is; a directory is `application/x-tar`.
    pub media_type: String,
    /// When its bytes were removed by the server's bounds, in lists: they cannot be got any more.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "instant")]
    pub removed_at: Option<Timestamp>,
}

/// Which one is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactOf {
    /// The run.
    pub run: String,
    /// The step's key.
    pub step: String,
    /// The item of a fan-out, from 0.
    pub index: Option<u32>,
    /// The attempt, from 1; 0 for the newest that left it.
    pub attempt: u32,
    /// Its name.
    pub name: String,
}

impl ArtifactOf {
    fn request(&self, attempt: u32, offset: u64) -> GetArtifactRequest {
        GetArtifactRequest {
            run_id: self.run.clone(),
            step: self.step.clone(),
            index: self.index,
            attempt,
            name: self.name.clone(),
            offset,
        }
    }
}

impl From<RunArtifact> for ArtifactView {
    fn from(wire: RunArtifact) -> Self {
        Self {
            step: wire.step,
            index: wire.index,
            attempt: wire.attempt,
            name: wire.name,
            bytes: wire.bytes,
            sha256: wire.sha256,
            media_type: wire.media_type,
            removed_at: wire.removed_at_ms.map(Timestamp::from_unix_ms),
        }
    }
}

impl Client {
    /// What the steps of a run left, in their order: all pages.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn artifacts(&self, run: &str) -> Result<Vec<ArtifactView>, Error> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = self.artifacts_page(run, 0, &page_token).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => page_token = next,
                None => return Ok(all),
            }
        }
    }

    /// One page of them, at most 500; `page_token` is empty, or `next` of the page before.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn artifacts_page(
        &self,
        run: &str,
        limit: u32,
        page_token: &str,
    ) -> Result<Page<ArtifactView>, Error> {
        let request = self.unary(ListArtifactsRequest {
            run_id: run.to_owned(),
            limit,
            page_token: page_token.to_owned(),
        });
        let answer = self.take(self.runs().list_artifacts(request).await)?;
        Ok(Page {
            items: answer.artifacts.into_iter().map(Into::into).collect(),
            next: some(answer.next_page_token),
        })
    }

    /// What an artifact is, without its bytes.
    ///
    /// # Errors
    /// See [`Error`]; one whose bytes the server cannot give is refused as it is by [`Self::artifact`].
    pub async fn artifact_view(&self, of: &ArtifactOf) -> Result<ArtifactView, Error> {
        let request = of.request(of.attempt, 0);
        let mut parts = self.take(self.runs().get_artifact(request).await)?;
        let first = parts.message().await.map_err(|status| self.refused(&status))?;
        match first.and_then(|part| part.part) {
            Some(Part::Artifact(artifact)) => Ok(artifact.into()),
            Some(Part::Data(_)) | None => Err(Error::Answer(SILENT.to_owned())),
        }
    }

    /// An artifact's bytes, handed to `each` as they come. They are the artifact only when this succeeds: the sum is known at
    /// the end. A server that goes away is called again from the last byte.
    ///
    /// # Errors
    /// See [`Error`]; `Answer` when the bytes do not have the sum; and what `each` refuses with.
    pub async fn artifact<E: From<Error>>(
        &self,
        of: &ArtifactOf,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<ArtifactView, E> {
        let mut whole = Whole::default();
        let mut away: Option<Instant> = None;
        loop {
            let before = whole.bytes;
            let error = match self.some(of, &mut whole, &mut each).await {
                Ok(()) => return whole.checked().map_err(Into::into),
                Err(Broken::Here(error)) => return Err(error),
                Err(Broken::There(error)) => error,
            };
            if whole.bytes > before {
                away = None;
            }
            let since = *away.get_or_insert_with(Instant::now);
            let patience = self.timeouts().away;
            if !error.is_unreachable() || whole.bytes == 0 && whole.is.is_none() {
                return Err(error.into());
            }
            if since.elapsed() >= patience {
                return Err(error.after(patience).into());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn some<E>(
        &self,
        of: &ArtifactOf,
        whole: &mut Whole,
        each: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Broken<E>> {
        // What has begun goes on with the same one.
        let attempt = whole.is.as_ref().map_or(of.attempt, |is| is.attempt);
        let request = of.request(attempt, whole.bytes);
        let answer = self.runs().get_artifact(request).await;
        let mut parts = self.take(answer).map_err(Broken::There)?;
        loop {
            let part = parts
                .message()
                .await
                .map_err(|status| Broken::There(self.refused(&status)))?;
            match part.and_then(|part| part.part) {
                None => return Ok(()),
                Some(Part::Artifact(artifact)) => {
                    let is = ArtifactView::from(artifact);
                    if whole.is.as_ref().is_some_and(|known| *known != is) {
                        return Err(Broken::There(Error::Answer(
                            "it is another artifact now".to_owned(),
                        )));
                    }
                    whole.is = Some(is);
                }
                Some(Part::Data(data)) => {
                    each(&data).map_err(Broken::Here)?;
                    whole.sum.update(&data);
                    whole.bytes += data.len() as u64;
                }
            }
        }
    }
}

/// Where reading broke off.
enum Broken<E> {
    Here(E),
    There(Error),
}

/// What came so far.
#[derive(Default)]
struct Whole {
    is: Option<ArtifactView>,
    sum: Sha256,
    bytes: u64,
}

impl Whole {
    fn checked(self) -> Result<ArtifactView, Error> {
        let is = self.is.ok_or_else(|| Error::Answer(SILENT.to_owned()))?;
        let sum: String = self
            .sum
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if self.bytes == is.bytes && sum == is.sha256 {
            return Ok(is);
        }
        let bytes = self.bytes;
        Err(Error::Answer(format!(
            "artifact {}: {bytes} bytes with the sum {sum} came, {} with {} were to come",
            is.name, is.bytes, is.sha256
        )))
    }
}
