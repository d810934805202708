//! A registry over the network: manifests and blobs, each of bounded size.
//!
//! The requests are ours and only the types are `oci-client`'s: that crate (0.18) reads manifests, tokens and errors of
//! any length into memory, and asks whatever address an image names for a layer.

mod door;
mod http;
mod refusal;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
};
use reqwest::header::{ACCEPT, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Client, Response, StatusCode};
use runtime::kit::with_causes;
use types::limits;

use crate::auth::{self, Login};
use crate::error::tried;
use crate::reference::{Reference, is_loopback, pinned};
use crate::store::Partial;
use crate::{Digest, ImageError};

/// For one small answer, whole.
const ANSWER: Duration = Duration::from_secs(60);
/// A registry's own word for what it sends (OCI distribution-spec, "Pulling manifests").
const CONTENT_DIGEST: &str = "docker-content-digest";

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// Docker's `config.json` with the credentials; read anew for each pull. A missing file is no error.
    pub credentials: Option<PathBuf>,
    /// Registries that are asked without TLS, as `host` or `host:port`; those of this host always are.
    pub plain_http: BTreeSet<String>,
    /// For a whole image, from the first question to the last layer unpacked.
    pub timeout: Duration,
    /// For one small answer of it: a token, a manifest, a configuration.
    pub answer: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            credentials: auth::docker_config(),
            plain_http: BTreeSet::new(),
            timeout: Duration::from_millis(limits::IMAGE_PULL_MS),
            answer: ANSWER,
        }
    }
}

/// One image's registry.
pub(crate) struct Registry {
    client: Client,
    /// `https://registry.example:5000`.
    base: reqwest::Url,
    /// Whether it is this very host.
    near: bool,
    answer: Duration,
    login: Option<Login>,
    /// What it takes now for a proof of who asks: the header's value.
    proof: Mutex<Option<HeaderValue>>,
    reference: Reference,
}

impl Registry {
    pub(crate) async fn new(access: &Access, reference: &Reference) -> Result<Self, ImageError> {
        let registry = reference.registry().to_owned();
        let (credentials, of) = (access.credentials.clone(), registry.clone());
        let read = tokio::task::spawn_blocking(move || auth::of(credentials.as_deref(), &of)).await;
        let login = read
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|why| ImageError::Credentials {
                reference: reference.whole(),
                registry: registry.clone(),
                why,
            })?;
        let near = is_loopback(&registry);
        let plain = near || access.plain_http.contains(&registry);
        let scheme = if plain { "http" } else { "https" };
        let url = format!("{scheme}://{}", reference.resolve_registry());
        let wrong = |why: String| ImageError::Registry {
            reference: reference.whole(),
            registry: registry.clone(),
            why,
        };
        let base: reqwest::Url = url.parse().map_err(|error| wrong(format!("{url}: {error}")))?;
        let own = base.host_str().unwrap_or_default();
        let client = http::client(own, near)
            .map_err(|error| wrong(format!("no HTTP client: {}", with_causes(&error))))?;
        Ok(Self {
            client,
            base,
            near,
            answer: access.answer,
            login,
            proof: Mutex::default(),
            reference: reference.clone(),
        })
    }

    /// An index or a manifest, by the image's own name or by digest, with the digest of what came.
    pub(crate) async fn manifest(&self, digest: Option<&Digest>) -> Result<(Vec<u8>, Digest), ImageError> {
        let wanted = digest.cloned().or_else(|| pinned(&self.reference));
        let name = match &wanted {
            Some(digest) => digest.as_str(),
            None => self.reference.tag().unwrap_or("latest"),
        };
        let accepted = [
            OCI_IMAGE_INDEX_MEDIA_TYPE,
            OCI_IMAGE_MEDIA_TYPE,
            IMAGE_MANIFEST_LIST_MEDIA_TYPE,
            IMAGE_MANIFEST_MEDIA_TYPE,
        ];
        let mut headers = HeaderMap::new();
        let accept = HeaderValue::from_str(&accepted.join(", "));
        headers.extend(accept.ok().map(|accept| (ACCEPT, accept)));
        let what = format!("manifests/{name}");
        let response = self.ask(&what, &headers, Some(self.answer)).await?;
        let said = response.headers().get(CONTENT_DIGEST);
        let said = said.and_then(|said| said.to_str().ok()?.parse::<Digest>().ok());
        let bytes = self.read(response, "its manifest").await?;
        let found = Digest::of(&bytes);
        match wanted.or(said) {
            Some(expected) if expected != found => Err(ImageError::Digest {
                reference: self.reference.whole(),
                what: "its manifest",
                expected,
                found,
            }),
            _ => Ok((bytes, found)),
        }
    }

    /// A small blob into memory; its digest is the caller's to check.
    pub(crate) async fn small(&self, blob: &OciDescriptor) -> Result<Vec<u8>, ImageError> {
        let asked = self.blob(blob, &HeaderMap::new(), Some(self.answer)).await?;
        self.read(asked, "its configuration").await
    }

    /// A layer to the disk, from where an earlier try broke off.
    pub(crate) async fn layer(&self, blob: &OciDescriptor, partial: &mut Partial) -> Result<(), ImageError> {
        // A descriptor says how long its content is (OCI image-spec, descriptor.md): more is refused early.
        let size = u64::try_from(blob.size)
            .unwrap_or(0)
            .min(limits::IMAGE_LAYER_BYTES);
        if partial.length == size && size > 0 {
            return Ok(());
        }
        let again = tried("cannot clear a layer");
        if partial.length >= size {
            partial.restart().map_err(again)?;
        }
        let from = format!("bytes={}-", partial.length);
        let mut headers = HeaderMap::new();
        if partial.length > 0 {
            let range = HeaderValue::from_str(&from);
            headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let mut response = self.blob(blob, &headers, None).await?;
        if partial.length > 0 && !goes_on(&response, partial.length) {
            let whole = response.status() == StatusCode::OK;
            partial.restart().map_err(tried("cannot clear a layer"))?;
            if !whole {
                return Err(self.broke("it sent another part of a layer than it was asked for".to_owned()));
            }
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if partial.length + chunk.len() as u64 > size {
                return Err(self.too_large("a layer", size));
            }
            partial.write(&chunk).map_err(tried("cannot write a layer"))?;
        }
        Ok(())
    }

    async fn blob(
        &self,
        blob: &OciDescriptor,
        headers: &HeaderMap,
        whole: Option<Duration>,
    ) -> Result<Response, ImageError> {
        match self.ask(&format!("blobs/{}", blob.digest), headers, whole).await {
            // The image is there, for its manifest was.
            Err(ImageError::NotFound { reference, registry }) => {
                let elsewhere = match &blob.urls {
                    Some(urls) if !urls.is_empty() => {
                        "; the image says that it lies elsewhere (`urls`), which is not followed"
                    }
                    _ => "",
                };
                Err(ImageError::Registry {
                    reference,
                    registry,
                    why: format!(
                        "it lacks a part of the image, {}{elsewhere}: push the image anew",
                        blob.digest
                    ),
                })
            }
            answer => answer,
        }
    }

    /// A small answer, whole.
    async fn read(&self, mut response: Response, what: &'static str) -> Result<Vec<u8>, ImageError> {
        let limit = limits::IMAGE_MANIFEST_BYTES;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(self.too_large(what, limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn too_large(&self, what: &'static str, limit: u64) -> ImageError {
        ImageError::TooLarge {
            reference: self.reference.whole(),
            what,
            limit,
        }
    }
}

/// Whether an answer is the rest of a layer, from this byte on.
fn goes_on(response: &Response, from: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::PARTIAL_CONTENT && range.starts_with(&format!("bytes {from}-"))
}
