//! A registry over the network: manifests and blobs, and its refusals told apart.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use oci_client::Client;
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError as Failure, OciErrorCode};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
};
use oci_client::secrets::RegistryAuth;
use types::limits;

use crate::reference::{Reference, is_loopback};
use crate::store::Partial;
use crate::{Digest, ImageError, auth};

const CONNECT: Duration = Duration::from_secs(10);
/// The longest silence in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(30);
const ACCEPTED: &[&str] = &[
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
];

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// Docker's `config.json` with the credentials; read anew for each pull. A missing file is no error.
    pub credentials: Option<PathBuf>,
    /// Registries that are asked without TLS, as `host` or `host:port`; those of this host always are.
    pub plain_http: BTreeSet<String>,
    /// For a whole image, from the first question to the last layer unpacked.
    pub timeout: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            credentials: auth::docker_config(),
            plain_http: BTreeSet::new(),
            timeout: Duration::from_millis(limits::IMAGE_PULL_MS),
        }
    }
}

/// One image's registry.
pub(crate) struct Registry {
    client: Client,
    auth: RegistryAuth,
    reference: Reference,
}

impl Registry {
    pub(crate) async fn new(access: &Access, reference: &Reference) -> Result<Self, ImageError> {
        let registry = reference.registry().to_owned();
        let (credentials, of) = (access.credentials.clone(), registry.clone());
        let read = tokio::task::spawn_blocking(move || auth::of(credentials.as_deref(), &of)).await;
        let auth = read
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|why| ImageError::Credentials {
                reference: reference.whole(),
                registry: registry.clone(),
                why,
            })?;
        // The first one to come installs the provider; the others find it there.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let protocol = if is_loopback(&registry) || access.plain_http.contains(&registry) {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        };
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: concat!("firehall/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| ImageError::Registry {
            reference: reference.whole(),
            registry,
            why: format!("no HTTP client: {error}"),
        })?;
        Ok(Self {
            client,
            auth,
            reference: reference.clone(),
        })
    }

    /// An index or a manifest, by the image's own name or by digest, with the digest of what came.
    pub(crate) async fn manifest(&self, digest: Option<&Digest>) -> Result<(Vec<u8>, Digest), ImageError> {
        let name = match digest {
            Some(digest) => self.reference.clone_with_digest(digest.to_string()),
            None => self.reference.clone(),
        };
        let (bytes, _header) = self
            .client
            .pull_manifest_raw(&name, &self.auth, ACCEPTED)
            .await
            .map_err(|error| self.failed(error))?;
        if bytes.len() as u64 > limits::IMAGE_MANIFEST_BYTES {
            return Err(self.too_large("its manifest", limits::IMAGE_MANIFEST_BYTES));
        }
        let found = Digest::of(&bytes);
        let expected = digest
            .cloned()
            .or_else(|| crate::reference::pinned(&self.reference));
        match expected {
            Some(expected) if expected != found => Err(ImageError::Digest {
                reference: self.reference.whole(),
                what: "its manifest",
                expected,
                found,
            }),
            _ => Ok((bytes.to_vec(), found)),
        }
    }

    /// A small blob into memory; its digest is the caller's to check.
    pub(crate) async fn small(&self, blob: &OciDescriptor) -> Result<Vec<u8>, ImageError> {
        let mut stream = self
            .client
            .pull_blob_stream(&self.reference, blob)
            .await
            .map_err(|error| self.failed(error))?
            .stream;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| self.broken(&error))?);
            if bytes.len() as u64 > limits::IMAGE_MANIFEST_BYTES {
                return Err(self.too_large("its configuration", limits::IMAGE_MANIFEST_BYTES));
            }
        }
        Ok(bytes)
    }

    /// A layer to the disk, from where an earlier try broke off.
    pub(crate) async fn layer(&self, blob: &OciDescriptor, partial: &mut Partial) -> Result<(), ImageError> {
        // A descriptor says how long its content is (OCI image-spec, descriptor.md): more is refused early.
        let size = u64::try_from(blob.size)
            .unwrap_or(0)
            .min(limits::IMAGE_LAYER_BYTES);
        if partial.length >= size {
            if partial.length == size && size > 0 {
                return Ok(());
            }
            partial
                .restart()
                .map_err(crate::error::tried("cannot clear a layer"))?;
        }
        let answer = if partial.length == 0 {
            let whole = self.client.pull_blob_stream(&self.reference, blob).await;
            whole.map(BlobResponse::Full)
        } else {
            self.client
                .pull_blob_stream_partial(&self.reference, blob, partial.length, None)
                .await
        };
        let mut stream = match answer.map_err(|error| self.failed(error))? {
            BlobResponse::Partial(rest) => rest.stream,
            BlobResponse::Full(whole) => {
                partial
                    .restart()
                    .map_err(crate::error::tried("cannot clear a layer"))?;
                whole.stream
            }
        };
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| self.broken(&error))?;
            if partial.length + chunk.len() as u64 > size {
                return Err(self.too_large("a layer", size));
            }
            partial
                .write(&chunk)
                .map_err(crate::error::tried("cannot write a layer"))?;
        }
        Ok(())
    }

    fn too_large(&self, what: &'static str, limit: u64) -> ImageError {
        ImageError::TooLarge {
            reference: self.reference.whole(),
            what,
            limit,
        }
    }

    /// A stream that broke: by the network, or by the crate's own look at the digest.
    fn broken(&self, error: &std::io::Error) -> ImageError {
        ImageError::Unreachable {
            reference: self.reference.whole(),
            registry: self.reference.registry().to_owned(),
            why: chain(error),
        }
    }

    fn failed(&self, error: Failure) -> ImageError {
        let reference = self.reference.whole();
        let registry = self.reference.registry().to_owned();
        let known = match &self.auth {
            RegistryAuth::Anonymous => false,
            RegistryAuth::Basic(..) | RegistryAuth::Bearer(_) => true,
        };
        match error {
            Failure::UnauthorizedError { .. } | Failure::AuthenticationFailure(_) => {
                unauthorized(reference, registry, known)
            }
            Failure::ImageManifestNotFoundError(_) | Failure::ServerError { code: 404, .. } => {
                ImageError::NotFound { reference, registry }
            }
            Failure::ServerError { code: 401 | 403, .. } => unauthorized(reference, registry, known),
            Failure::RegistryError { envelope, .. } => match envelope.errors.first().map(|error| &error.code)
            {
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::ManifestBlobUnknown,
                ) => ImageError::NotFound { reference, registry },
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => {
                    unauthorized(reference, registry, known)
                }
                _ => ImageError::Registry {
                    reference,
                    registry,
                    why: short(&envelope.to_string()),
                },
            },
            Failure::RequestError(error) => ImageError::Unreachable {
                reference,
                registry,
                why: chain(&error.without_url()),
            },
            Failure::IoError(error) => self.broken(&error),
            other => ImageError::Registry {
                reference,
                registry,
                why: short(&other.to_string()),
            },
        }
    }
}

fn unauthorized(reference: String, registry: String, known: bool) -> ImageError {
    let (who, remedy) = if known {
        (
            "the credentials of this host",
            format!("run `docker login {registry}` anew, or ask for the right to pull"),
        )
    } else {
        (
            "an unknown caller",
            format!(
                "run `docker login {registry}` on this host as the agent's user, or check the name: some registries say this of images that they do not have"
            ),
        )
    };
    ImageError::Unauthorized {
        reference,
        registry,
        who,
        remedy,
    }
}

/// A stranger's words, cut.
fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    short(&text)
}
