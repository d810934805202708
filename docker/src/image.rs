//! Images on the daemon: there, fetched, right for this host, and which one it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use runtime::{Pull, StartError, StartErrorKind};
use tokio_util::sync::CancellationToken;

use crate::auth::Registries;
use crate::connection::{CALL, Connection, DockerError};
use crate::reference::Reference;

/// How long one image may take to be fetched.
const PULL: Duration = Duration::from_secs(15 * 60);
/// How long the daemon may say nothing meanwhile.
const SILENCE: Duration = Duration::from_secs(90);

/// An image that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Usable {
    /// The daemon's id of it: what the container is made of, whatever the tag means by then.
    pub id: String,
    /// For the history: `name@sha256:…`, or the id of one that came from no registry.
    pub digest: String,
    /// What it runs by itself: its entrypoint and its command.
    pub command: Vec<String>,
    /// Its user, as it says it: a name or a number of its own, with a group behind a colon perhaps; empty when it says none.
    pub user: String,
}

/// What is being fetched, by its name: one fetch of an image at a time.
pub(crate) type Fetching = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// All that is needed to get an image.
pub(crate) struct Images<'a> {
    pub connection: &'a Connection,
    pub registries: &'a Registries,
    pub fetching: &'a Fetching,
    /// The daemon's processor, in Go's words.
    pub arch: &'a str,
}

impl Images<'_> {
    /// Gets the image, or says why there is none. Ends early when `stop` is cancelled.
    pub(crate) async fn usable(
        &self,
        text: &str,
        pull: Pull,
        stop: &CancellationToken,
    ) -> Result<Usable, StartError> {
        let reference = Reference::parse(text)
            .map_err(|why| StartError::new(StartErrorKind::Spec, format!("image: {why}")))?;
        if pull != Pull::Always
            && let Some(found) = self.look(&reference).await?
        {
            return self.check(&reference, found);
        }
        if pull == Pull::Never {
            let message = format!("image {text} is not on this host, and the step says pull: never");
            return Err(StartError::new(StartErrorKind::ImageMissing, message));
        }
        let turn = self.turn(&reference);
        let fetch = async {
            let _turn = turn.lock().await;
            // Somebody else may have fetched it while this one waited.
            if pull == Pull::Missing
                && let Some(found) = self.look(&reference).await?
            {
                return Ok(found);
            }
            self.fetch(&reference).await?;
            self.look(&reference).await?.ok_or_else(|| {
                let message = format!("image {text} was fetched and is gone again");
                StartError::new(StartErrorKind::ImageMissing, message)
            })
        };
        let fetched = tokio::select! {
            fetched = tokio::time::timeout(PULL, fetch) => fetched,
            () = stop.cancelled() => return Err(stopped()),
        };
        match fetched {
            Ok(found) => self.check(&reference, found?),
            Err(_) => Err(StartError::new(
                StartErrorKind::ImageTimeout,
                format!("image {text} was not fetched within {} min", PULL.as_secs() / 60),
            )),
        }
    }

    fn turn(&self, reference: &Reference) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for are only in the map.
        fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(fetching.entry(reference.whole()).or_default())
    }

    async fn look(&self, reference: &Reference) -> Result<Option<ImageInspect>, StartError> {
        let whole = reference.whole();
        let looking = self.connection.client.inspect_image(&whole);
        match self
            .connection
            .call("cannot look at an image", CALL, looking)
            .await
        {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(StartError::runtime("image", error)),
        }
    }

    async fn fetch(&self, reference: &Reference) -> Result<(), StartError> {
        let auth = self
            .registries
            .of(&reference.registry)
            .await
            .map_err(|why| StartError::new(StartErrorKind::ImageDenied, format!("credentials: {why}")))?;
        let options = CreateImageOptionsBuilder::default()
            .from_image(&reference.name)
            .tag(&reference.version)
            .build();
        let whole = reference.whole();
        tracing::info!(image = whole, "fetching an image");
        let mut progress = Box::pin(self.connection.client.create_image(Some(options), None, auth));
        loop {
            match tokio::time::timeout(SILENCE, progress.next()).await {
                Err(_) => {
                    let silence = SILENCE.as_secs();
                    let message = format!(
                        "image {whole}: nothing came from {} for {silence} s",
                        reference.registry
                    );
                    return Err(StartError::new(StartErrorKind::ImageTimeout, message));
                }
                Ok(None) => return Ok(()),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => {
                    return Err(why_not(reference, &self.connection.error("pull", &error)));
                }
            }
        }
    }

    /// Whether it is for this host, and what to call it in the history.
    fn check(&self, reference: &Reference, found: ImageInspect) -> Result<Usable, StartError> {
        let whole = reference.whole();
        let os = found.os.unwrap_or_else(|| "linux".to_owned());
        let arch = found.architecture.unwrap_or_default();
        // One that was imported without a word about it has none.
        if os != "linux" || (!arch.is_empty() && arch != self.arch) {
            let here = self.arch;
            let message = format!(
                "image {whole} is for {os}/{arch}, and this host is linux/{here}: name one that was built for it"
            );
            return Err(StartError::new(StartErrorKind::ImagePlatform, message));
        }
        let id = found
            .id
            .ok_or_else(|| StartError::runtime("image", "the daemon gave no id"))?;
        let digests = found.repo_digests.unwrap_or_default();
        let named = |digest: &&String| {
            digest
                .split_once('@')
                .is_some_and(|(name, _)| name.ends_with(reference.name.trim_start_matches("docker.io/")))
        };
        let digest = digests.iter().find(named).cloned().unwrap_or_else(|| id.clone());
        let config = found.config.unwrap_or_default();
        let command = [config.entrypoint, config.cmd];
        Ok(Usable {
            id,
            digest,
            command: command.into_iter().flatten().flatten().collect(),
            user: config.user.unwrap_or_default(),
        })
    }
}

/// The answer for one that was told to stop before it began.
pub(crate) fn stopped() -> StartError {
    StartError::new(StartErrorKind::Stopped, "it was stopped before it started")
}

/// Which kind of failure the daemon's words are. It passes on the registry's as text.
fn why_not(reference: &Reference, error: &DockerError) -> StartError {
    use StartErrorKind as K;
    let words = match error {
        DockerError::Status { message, .. } => message.clone(),
        other => return StartError::runtime("image", other),
    };
    let low = words.to_lowercase();
    let has = |any: &[&str]| any.iter().any(|part| low.contains(part));
    let (kind, what) = if has(&[
        "no matching manifest",
        "no image found in manifest list",
        "does not match the specified platform",
        "no match for platform",
    ]) {
        (K::ImagePlatform, "there is none for this host's processor")
    } else if has(&[
        "unauthorized",
        "authentication required",
        "no basic auth",
        "denied",
        "status 401",
        "401 unauthorized",
        "403 forbidden",
    ]) {
        (
            K::ImageDenied,
            "the registry refuses these credentials, or wants some, or has no such repository: docker login on the agent's host, or name them for the agent",
        )
    } else if has(&[
        "manifest unknown",
        "not found",
        "name unknown",
        "no such image",
        "does not exist",
        "manifest invalid",
    ]) {
        (K::ImageMissing, "the registry has no such image")
    } else if has(&[
        "verification failed",
        "digest mismatch",
        "unexpected digest",
        "checksum",
        "unexpected end of json",
        "invalid tar",
        "unexpected eof",
    ]) {
        (K::ImageBroken, "what the registry sends is not what it says")
    } else if has(&[
        "dial tcp",
        "connection refused",
        "no such host",
        "timeout",
        "tls:",
        "http response to https",
        "eof",
        "deadline exceeded",
        "unexpected http status",
        "server error",
        "service unavailable",
        "network is unreachable",
        "unexpected status",
    ]) {
        (
            K::RegistryUnreachable,
            "the registry cannot be reached, or cannot answer now",
        )
    } else {
        (K::Runtime, "it cannot be fetched")
    };
    StartError::new(kind, format!("image {}: {what} ({words})", reference.whole()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_daemons_words_are_told_apart() {
        use StartErrorKind as K;
        let reference = Reference::parse("r.example:5000/tool:1").unwrap();
        for (words, kind) in [
            (
                "manifest for r.example:5000/tool:1 not found: manifest unknown: manifest unknown",
                K::ImageMissing,
            ),
            (
                "Head \"http://r.example:5000/v2/tool/manifests/1\": no basic auth credentials",
                K::ImageDenied,
            ),
            (
                "pull access denied for tool, repository does not exist or may require 'docker login'",
                K::ImageDenied,
            ),
            (
                "Get \"https://r.example:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
                K::RegistryUnreachable,
            ),
            (
                "no matching manifest for linux/amd64 in the manifest list entries",
                K::ImagePlatform,
            ),
            (
                "filesystem layer verification failed for digest sha256:00",
                K::ImageBroken,
            ),
            (
                "received unexpected HTTP status: 500 Internal Server Error",
                K::RegistryUnreachable,
            ),
            // Podman's.
            (
                "initializing source docker://r.example:5000/tool:1: reading manifest 1 in r.example:5000/tool: unauthorized: authentication required",
                K::ImageDenied,
            ),
            (
                "initializing source docker://r.example:5000/tool:1: pinging container registry r.example:5000: Get \"https://r.example:5000/v2/\": http: server gave HTTP response to HTTPS client",
                K::RegistryUnreachable,
            ),
            (
                "choosing an image from manifest list docker://r.example:5000/tool:1: no image found in manifest list for architecture amd64, variant \"\", OS linux",
                K::ImagePlatform,
            ),
            ("something else", K::Runtime),
        ] {
            let error = DockerError::Status {
                what: "pull",
                status: 500,
                message: words.to_owned(),
            };
            let told = why_not(&reference, &error);
            assert_eq!(told.kind, kind, "{words}");
            assert!(told.message.contains("r.example:5000/tool:1") && told.message.contains(words));
        }
    }
}
