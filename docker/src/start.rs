//! From nothing to a program that runs: image, container, door, marker, go.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, LogsOptionsBuilder};
use futures::StreamExt;
use runtime::kit::{boot, sync_dir, wall_ms, write_durably};
use runtime::{
    ContainerSpec, Ended, ExitRecord, Found, Image, Network, RuntimeError, Secrets, StartError,
    StartErrorKind, Who,
};
use tokio_util::sync::CancellationToken;

use crate::attempt::{Files, Order};
use crate::body;
use crate::connection::{CALL, DockerError, START};
use crate::door::{Caller, Door};
use crate::egress;
use crate::follow::Running;
use crate::host_image;
use crate::image::{Images, Usable, stopped};
use crate::runtime_impl::Docker;
use crate::seen::Inspected;
use crate::wire::{Answer, Job};

/// How long the container of an earlier try may take to end.
const FORMER: Duration = Duration::from_secs(20);
/// How long our pid 1 may take from its container's start to the door.
const KNOCK: Duration = Duration::from_secs(60);

/// Why nothing runs.
enum Not {
    /// The image's or the step's fault: how the attempt ended.
    Begun(StartError),
    /// The runtime's: it could not do it.
    Able(String),
}

impl From<StartError> for Not {
    fn from(error: StartError) -> Self {
        Self::Begun(error)
    }
}

impl From<DockerError> for Not {
    fn from(error: DockerError) -> Self {
        Self::Able(error.to_string())
    }
}

fn unable(what: &'static str) -> impl FnOnce(std::io::Error) -> Not {
    move |error| Not::Able(format!("{what}: {error}"))
}

impl Docker {
    pub(crate) async fn start_attempt(
        &self,
        files: &Files,
        spec: ContainerSpec,
        secrets: Secrets,
    ) -> Result<Found, RuntimeError> {
        spec.validate()
            .map_err(|error| RuntimeError(format!("the step cannot be run here: {error}")))?;
        let begun = self.begin(files.path());
        let _turn = begun.start.turn.lock().await;
        match runtime::Runtime::adopt(self, files.path()).await? {
            Found::Ended(Ended::NeverStarted(_)) => {}
            found => return Ok(found),
        }
        let mut record = ExitRecord {
            started_at_ms: wall_ms(),
            ..ExitRecord::default()
        };
        let name = body::name(&spec.id);
        match self
            .try_start(files, spec, secrets, &mut record, &begun.start.stop)
            .await
        {
            Ok(first) => Ok(Found::Running(Box::new(Running::new(
                self.clone(),
                files.clone(),
                first,
            )))),
            Err(Not::Able(why)) => {
                self.take_back(&name).await;
                Err(RuntimeError(why))
            }
            Err(Not::Begun(error)) => {
                self.take_back(&name).await;
                record.stopped = error.kind == StartErrorKind::Stopped;
                record.start_error = Some(error);
                record.finished_at_ms = wall_ms();
                finish(files.path(), &record)
                    .map_err(|error| RuntimeError(format!("the exit record: {error}")))?;
                Ok(Found::Ended(Ended::Finished(Box::new(record))))
            }
        }
    }

    /// Nothing of it was told to go: what was made for it goes.
    async fn take_back(&self, name: &str) {
        if let Err(error) = self.remove_container(name).await {
            tracing::warn!(name, %error, "a container that was not started stays until its attempt is removed");
        }
    }

    /// Returns the container's first process, where it is seen from here.
    async fn try_start(
        &self,
        files: &Files,
        spec: ContainerSpec,
        secrets: Secrets,
        record: &mut ExitRecord,
        stop: &CancellationToken,
    ) -> Result<Option<OwnedFd>, Not> {
        files
            .make()
            .map_err(unable("cannot make the attempt's directory"))?;
        files
            .unmark()
            .map_err(unable("cannot take back the marker of a start that never was"))?;
        let image = self.image(&spec, stop).await?;
        let from_registry = spec.image != Image::Host;
        record.image_digest = from_registry.then(|| image.digest.clone());
        let who = self.who(&spec, &image, files).await?;
        let order = Order {
            spec: spec.clone(),
            image_digest: record.image_digest.clone(),
        };
        files
            .write_order(&order)
            .map_err(unable("cannot write the job"))?;
        files
            .give(&spec.files, self.inner.remap.outside(&who))
            .map_err(unable("cannot give the step its files"))?;
        if self.inner.connection.dialect.podman {
            let written = files.write_hosts(&spec);
            written.map_err(unable("cannot write the names that the step knows"))?;
        }
        let door = Door::open(files).map_err(unable("cannot open the door"))?;
        let name = body::name(&spec.id);
        self.end_former(&name, files).await?;
        let handed = files.hand().map_err(unable("cannot make the attempt's files"))?;
        self.create(&name, &spec, (&image, &who), files).await?;
        let own_network = spec.pod.network_of.is_none() && spec.network == Network::Egress;
        let bridged = own_network && self.inner.connection.dialect.podman;
        failpoint::reach("docker.create.post");
        if stop.is_cancelled() || files.common.stop().exists() {
            return Err(stopped().into());
        }
        let secrets = secrets
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect();
        let lowered = body::must_be_lowered(&spec, self.inner.connection.dialect).then(|| body::pids(&spec));
        let job = Job {
            spec,
            command: image.command,
            secrets,
        };
        let connection = &self.inner.connection;
        let starting = connection.client.start_container(&name, None);
        let started = connection.call("cannot start the container", START, starting);
        // A container that was not started does not come to the door: nobody waits for it there.
        let refused = |error| Not::Begun(StartError::runtime("the container was not started", error));
        let started = async { started.await.map_err(refused) };
        let answered = async { Ok(tokio::time::timeout(KNOCK, door.answer(job, handed)).await) };
        let answered = match lowered {
            None => tokio::try_join!(started, answered)?.1,
            Some(pids) => {
                started.await?;
                // Before it gets its job: what it says is in force is the step's.
                self.lower(&name, pids).await?;
                answered.await?
            }
        };
        let mut caller = match answered {
            Ok(Ok((Answer::Ready(hardening), caller))) => {
                record.hardening = Some(*hardening);
                caller
            }
            Ok(Ok((Answer::Refused(error), _))) => return Err(error.into()),
            Ok(Err(error)) => return Err(self.no_caller(&name, &error.to_string()).await),
            Err(_) => return Err(self.no_caller(&name, "it did not come in time").await),
        };
        failpoint::reach("docker.start.post");
        if bridged {
            egress::isolate()?;
        }
        let first = caller.process.take();
        go(files, stop, caller).await?;
        Ok(first)
    }

    /// Takes back the room that a container had to be started in.
    async fn lower(&self, name: &str, pids: i64) -> Result<(), Not> {
        let connection = &self.inner.connection;
        let body = ContainerUpdateBody {
            pids_limit: Some(pids),
            ..ContainerUpdateBody::default()
        };
        let updating = connection.client.update_container(name, body);
        let lowered = connection
            .call("cannot limit the container's processes", CALL, updating)
            .await;
        lowered.map_err(|error| Not::Begun(StartError::runtime("the limits are not in force", error)))
    }

    /// One that was made before and never told to go, by an agent that died, is ended first: it holds the same files until
    /// then, and its last word would be taken for the new one's.
    async fn end_former(&self, name: &str, files: &Files) -> Result<(), Not> {
        if !files.lives() {
            return Ok(());
        }
        match self.remove_container(name).await {
            // It is on its way out already.
            Err(error) if error.status() == Some(409) => {}
            removed => removed?,
        }
        let until = boot() + FORMER;
        while files.lives() {
            if boot() >= until {
                return Err(Not::Able(
                    "another container of this attempt does not end".to_owned(),
                ));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn image(&self, spec: &ContainerSpec, stop: &CancellationToken) -> Result<Usable, Not> {
        match &spec.image {
            Image::Host => Ok(host_image::usable(&self.inner.connection, &self.inner.settings.state).await?),
            Image::Oci(reference) => {
                let images = Images {
                    connection: &self.inner.connection,
                    registries: &self.inner.settings.registries,
                    fetching: &self.inner.fetching,
                    arch: &self.inner.arch,
                };
                Ok(images.usable(reference, spec.pull, stop).await?)
            }
        }
    }

    /// Creates the container. One that is there already under this name was never told to go (there would be a marker):
    /// it waits at a door that is shut, or never was started, so it is made anew.
    async fn create(
        &self,
        name: &str,
        spec: &ContainerSpec,
        (image, who): (&Usable, &Who),
        files: &Files,
    ) -> Result<(), Not> {
        let joined;
        let network = match (&spec.pod.network_of, spec.network) {
            (Some(holder), _) => {
                joined = holders(holder)?;
                joined.as_str()
            }
            (None, Network::Host) => "host",
            (None, Network::None) => "none",
            (None, Network::Egress) => egress::ensure(&self.inner.connection).await?,
        };
        let inner = &self.inner;
        let body = || {
            body::create(
                spec,
                &image.id,
                who,
                &inner.kit,
                files,
                &inner.settings.owner,
                inner.connection.dialect,
                network,
            )
        };
        let create = || {
            let options = CreateContainerOptionsBuilder::default().name(name).build();
            let creating = inner.connection.client.create_container(Some(options), body());
            inner
                .connection
                .call("cannot create the container", CALL, creating)
        };
        match create().await {
            Ok(_) => Ok(()),
            Err(error) if self.is_there(name, &error).await => {
                self.remove_container(name).await?;
                create().await.map(drop).map_err(Into::into)
            }
            Err(error) if error.status() == Some(404) => {
                let message = format!("its image is gone from the daemon: {error}");
                Err(StartError::new(StartErrorKind::ImageMissing, message).into())
            }
            // Its reply may have been lost, and the container be there: `take_back` takes it away.
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a container was not created because there is one of its name. Podman answers that as it answers failures.
    async fn is_there(&self, name: &str, error: &DockerError) -> bool {
        match error.status() {
            Some(409) => true,
            Some(500) if self.inner.connection.dialect.podman => {
                let connection = &self.inner.connection;
                let looking = connection.client.inspect_container(name, None);
                let found = connection.read::<Inspected>("cannot look at the container", CALL, looking);
                found.await.is_ok()
            }
            _ => false,
        }
    }

    /// Why nobody came to the door, in the container's own words.
    async fn no_caller(&self, name: &str, why: &str) -> Not {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail("5")
            .build();
        let mut logs = Box::pin(self.inner.connection.client.logs(name, Some(options)));
        let mut words = String::new();
        let reading = async {
            while let Some(Ok(line)) = logs.next().await {
                words.push_str(String::from_utf8_lossy(&line.into_bytes()).trim());
                words.push(' ');
                if words.len() > 1_000 {
                    break;
                }
            }
        };
        let _read = tokio::time::timeout(CALL, reading).await;
        let said = if words.is_empty() {
            why.to_owned()
        } else {
            words.trim().to_owned()
        };
        Not::Begun(StartError::runtime(
            "the container's first process did not come for its job",
            said,
        ))
    }
}

/// The network of a container that holds it for others.
fn holders(dir: &Path) -> Result<String, Not> {
    match Files::new(dir).order() {
        Some(order) => Ok(format!("{}{}", body::JOIN, body::name(&order.spec.id))),
        None => Err(Not::Able(format!(
            "the step's network cannot be joined: nothing in {} says who holds it",
            dir.display()
        ))),
    }
}

/// The last look at the stop wish, the durable marker, go.
async fn go(files: &Files, stop: &CancellationToken, caller: Caller) -> Result<(), Not> {
    if stop.is_cancelled() || files.common.stop().exists() {
        return Err(stopped().into());
    }
    let files = files.clone();
    let gone = tokio::task::spawn_blocking(move || {
        files
            .mark_started()
            .map_err(unable("cannot write the started marker"))?;
        failpoint::reach("docker.marked");
        // It may have run from here on: one that died before this reads as never begun by its own record.
        if let Err(error) = caller.go() {
            tracing::warn!(%error, "the container's first process was gone when it was told to go");
        }
        Ok(())
    });
    gone.await
        .unwrap_or_else(|error| Err(Not::Able(format!("the runtime's task ended: {error}"))))
}

/// Writes how it ended, for good.
pub(crate) fn finish(dir: &Path, record: &ExitRecord) -> std::io::Result<()> {
    write_durably(dir, "exit.json", &serde_json::to_vec_pretty(record)?)?;
    sync_dir(dir)
}
