//! Whom a step's program runs as: the step's number, else what its image says, by the image's own names.
//!
//! The daemon reads names too, but only when it starts the program. The agent's policy is about numbers, and files are
//! given to numbers: so they are known before.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder};
use futures::StreamExt;
use runtime::{ContainerSpec, Image, StartError, Who};

use crate::attempt::Files;
use crate::body;
use crate::connection::{CALL, DockerError};
use crate::image::Usable;
use crate::runtime_impl::Docker;

/// What is read of `/etc/passwd` and of `/etc/group`, each, as an archive.
const FILE_BYTES: usize = 1024 * 1024;
/// Links that are followed to one of them.
const LINKS: usize = 5;
/// Images and users that are remembered; then it begins anew.
const KNOWN: usize = 256;
/// Added to the user of a step that sees the host's own trees: a user that nobody on the host is, or the host's processes
/// of that number would be its to look into. As the native runtime's first range.
const APART: u32 = 1_879_048_192;

/// By image and the step's own user.
pub(crate) type Known = Mutex<HashMap<(String, Option<u32>), Who>>;

impl Docker {
    /// Whom the step's program runs as, in ids that the daemon is told.
    ///
    /// # Errors
    /// The image's names lead to nobody, or to somebody whom the agent does not allow.
    pub(crate) async fn who(
        &self,
        spec: &ContainerSpec,
        image: &Usable,
        files: &Files,
    ) -> Result<Who, StartError> {
        let mut who = match &spec.image {
            Image::Host => Who::numbered(spec.user),
            Image::Oci(_) if spec.user.is_none() && image.user.is_empty() => Who::numbered(None),
            Image::Oci(_) => self.named(spec, image, files).await?,
        };
        who.allowed(&spec.users)?;
        // A daemon that maps users has given them away already.
        if !spec.host_view.is_empty() && !self.inner.remap.is_on() {
            who.uid += APART;
            who.gid += APART;
            who.groups.iter_mut().for_each(|group| *group += APART);
        }
        Ok(who)
    }

    async fn named(&self, spec: &ContainerSpec, image: &Usable, files: &Files) -> Result<Who, StartError> {
        let key = (image.id.clone(), spec.user);
        let known = || self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(who) = known().get(&key) {
            return Ok(who.clone());
        }
        let failed = |error: DockerError| StartError::runtime("cannot read the image's users", error);
        let name = format!("{}-users", body::name(&spec.id));
        // An agent that died may have left it.
        self.remove_container(&name).await.map_err(failed)?;
        let names = self.names(&name, spec, image, files).await;
        if let Err(error) = self.remove_container(&name).await {
            tracing::warn!(name, %error, "a container that was looked into stays until its attempt is gone");
        }
        let (passwd, group) = names.map_err(failed)?;
        let who = Who::in_image(spec.user, &image.user, &passwd, &group)?;
        let mut known = known();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(key, who.clone());
        Ok(who)
    }

    /// The image's `passwd` and `group`, by way of a container that is never started.
    async fn names(
        &self,
        name: &str,
        spec: &ContainerSpec,
        image: &Usable,
        files: &Files,
    ) -> Result<(String, String), DockerError> {
        let connection = &self.inner.connection;
        let body = ContainerCreateBody {
            image: Some(image.id.clone()),
            entrypoint: Some(vec!["/never".to_owned()]),
            // Podman looks the image's own up at once, and refuses one that it does not find.
            user: Some("0".to_owned()),
            labels: Some(body::labels(&self.inner.settings.owner, spec, files)),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let creating = connection.client.create_container(Some(options), body);
        connection
            .call("cannot look into the image", CALL, creating)
            .await?;
        Ok((
            self.text(name, "/etc/passwd").await?,
            self.text(name, "/etc/group").await?,
        ))
    }

    /// A text file of a container; empty when there is none.
    async fn text(&self, name: &str, path: &str) -> Result<String, DockerError> {
        let mut path = path.to_owned();
        for _ in 0..=LINKS {
            match self.entry(name, &path).await? {
                Found::Text(text) => return Ok(text),
                Found::Link(target) if target.starts_with('/') => path = target,
                Found::Link(target) => {
                    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                    path = format!("{dir}/{target}");
                }
            }
        }
        let why = format!("more than {LINKS} links lead to {path}");
        Err(DockerError::here("cannot look into the image", why))
    }

    async fn entry(&self, name: &str, path: &str) -> Result<Found, DockerError> {
        let connection = &self.inner.connection;
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut stream = Box::pin(connection.client.download_from_container(name, Some(options)));
        let mut archive = Vec::new();
        let reading = async {
            while let Some(chunk) = stream.next().await {
                archive.extend_from_slice(&chunk?);
                if archive.len() > FILE_BYTES {
                    break;
                }
            }
            Ok(())
        };
        match connection.call("cannot look into the image", CALL, reading).await {
            Ok(()) if archive.len() <= FILE_BYTES => {}
            Ok(()) => {
                let why = format!("its {path} is larger than {FILE_BYTES} bytes");
                return Err(DockerError::here("cannot look into the image", why));
            }
            Err(error) if error.status() == Some(404) => return Ok(Found::Text(String::new())),
            Err(error) => return Err(error),
        }
        first(&archive).map_err(|error| DockerError::here("cannot look into the image", error))
    }
}

/// What lies at a path.
enum Found {
    Text(String),
    Link(String),
}

/// The only entry of an archive.
fn first(archive: &[u8]) -> std::io::Result<Found> {
    let mut archive = tar::Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else {
        return Ok(Found::Text(String::new()));
    };
    let mut entry = entry?;
    if let Some(target) = entry.link_name_bytes() {
        return Ok(Found::Link(String::from_utf8_lossy(&target).into_owned()));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(Found::Text(String::from_utf8_lossy(&bytes).into_owned()))
}
