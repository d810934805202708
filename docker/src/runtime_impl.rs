//! The runtime that the agent holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use runtime::{ContainerSpec, Ended, Found, Network, Runtime, RuntimeError, Secrets, Stray};
use tokio_util::sync::CancellationToken;

use crate::attempt::Files;
use crate::auth::Registries;
use crate::body::{self, LABEL_ATTEMPT, LABEL_DIR, LABEL_JOINS, LABEL_OWNER};
use crate::connection::{CALL, Connection, DockerError, Host};
use crate::egress;
use crate::follow::Running;
use crate::image::Fetching;
use crate::kit::{self, Kit};
use crate::remap::Remap;
use crate::seen::Listed;
use crate::user::Known;

/// How long the daemon may take to see an end before its container is removed by force.
const LAG: Duration = Duration::from_secs(2);

/// What the runtime is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A directory of the agent's own (made 0700) for what all containers share.
    pub state: PathBuf,
    /// The program whose `inside` is pid 1 of every container; usually this very one, `/proc/self/exe`.
    pub program: PathBuf,
    /// Whose containers these are: the agent's id. They carry it as a label, and nothing else is ever touched.
    pub owner: String,
    /// Credentials for registries.
    pub registries: Registries,
}

/// The Docker runtime of one agent. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Docker {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub connection: Connection,
    pub settings: Settings,
    pub kit: Kit,
    /// The daemon's processor, in Go's words.
    pub arch: String,
    /// The daemon's name and version, for people.
    pub version: String,
    /// Whom the daemon maps its containers' users to.
    pub remap: Remap,
    pub fetching: Fetching,
    /// Whom steps run as in images that were looked into.
    pub known: Known,
    /// Starts on their way, by directory: to be stopped while an image is fetched.
    starting: Mutex<BTreeMap<PathBuf, Arc<Starting>>>,
}

/// A container of ours that the daemon knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Its name.
    pub name: String,
    /// The attempt.
    pub attempt: String,
    /// The attempt's directory.
    pub dir: PathBuf,
    /// The container whose network it is in, by its name.
    pub joins: Option<String>,
    /// What it does, in the daemon's words: `running`, `exited`; Podman's `stopped`.
    pub state: String,
}

impl Docker {
    /// Connects to the daemon and makes ready what all containers share.
    ///
    /// # Errors
    /// The daemon cannot be reached or is too old, or the directory cannot be written.
    pub async fn connect(host: Host, settings: Settings) -> Result<Self, DockerError> {
        let (connection, version) = Connection::open(host).await?;
        // In a box: the answer is large.
        let remap = Box::pin(Remap::of(&connection)).await?;
        let (state, program) = (settings.state.clone(), settings.program.clone());
        let made = tokio::task::spawn_blocking(move || {
            fs_err::create_dir_all(&state)?;
            fs_err::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            // The daemon takes sources of mounts by their absolute path.
            let state = fs_err::canonicalize(&state)?;
            let kit = kit::ensure(&state, &program)?;
            Ok::<_, std::io::Error>((state, kit))
        });
        let (state, kit) = made
            .await
            .map_err(|error| DockerError::here("the runtime's directory", error))?
            .map_err(|error| DockerError::here("the runtime's directory", error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                version: format!(
                    "{} {}",
                    if connection.dialect.podman {
                        "Podman"
                    } else {
                        "Docker"
                    },
                    version.version.unwrap_or_default()
                ),
                connection,
                settings: Settings { state, ..settings },
                kit,
                arch: version.arch.unwrap_or_default(),
                remap,
                fetching: Fetching::default(),
                known: Known::default(),
                starting: Mutex::default(),
            }),
        })
    }

    /// The daemon's name and version, as it says them: `Docker 28.2.2`, `Podman 4.3.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// Whether it is Podman.
    #[must_use]
    pub fn is_podman(&self) -> bool {
        self.inner.connection.dialect.podman
    }

    /// The API spoken with it: major and minor.
    #[must_use]
    pub fn api(&self) -> (usize, usize) {
        self.inner.connection.dialect.api
    }

    /// The containers that carry this owner's label, whatever became of them.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn owned(&self) -> Result<Vec<Owned>, DockerError> {
        let label = format!("{LABEL_OWNER}={}", self.inner.settings.owner);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&HashMap::from([("label", vec![label])]))
            .build();
        let connection = &self.inner.connection;
        let listing = connection.client.list_containers(Some(options));
        let listed: Vec<Listed> = connection.read("cannot list containers", CALL, listing).await?;
        let of = |container: Listed| {
            let labels = container.labels;
            Some(Owned {
                name: container.names.first()?.trim_start_matches('/').to_owned(),
                attempt: labels.get(LABEL_ATTEMPT)?.clone(),
                dir: PathBuf::from(labels.get(LABEL_DIR)?),
                joins: labels.get(LABEL_JOINS).cloned(),
                state: container.state,
            })
        };
        Ok(listed.into_iter().filter_map(of).collect())
    }

    /// Removes a container by its name, killing what runs in it; none of that name is fine.
    pub(crate) async fn remove_container(&self, name: &str) -> Result<(), DockerError> {
        if self.inner.connection.dialect.podman {
            self.remove_joined(name).await?;
        }
        self.remove_alone(name).await
    }

    /// Podman keeps a container as long as others are in its network, ended ones too: those whose end is on record, or whose
    /// directory is gone, go first. One that runs is told of by Podman itself.
    async fn remove_joined(&self, name: &str) -> Result<(), DockerError> {
        let joined = self.owned().await?;
        for one in joined.iter().filter(|one| one.joins.as_deref() == Some(name)) {
            let ended = Files::new(&one.dir).common.exit_record();
            if !one.dir.exists() || ended.is_ok_and(|record| record.is_some()) {
                self.remove_alone(&one.name).await?;
            }
        }
        Ok(())
    }

    async fn remove_alone(&self, name: &str) -> Result<(), DockerError> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let connection = &self.inner.connection;
        let removing = connection.client.remove_container(name, Some(options));
        match connection.call("cannot remove a container", CALL, removing).await {
            Err(error) if error.status() == Some(404) => Ok(()),
            other => other,
        }
    }

    /// Marks a start as on its way, behind those of the same attempt; the mark goes with the last of them.
    pub(crate) fn begin(&self, dir: &Path) -> Begun<'_> {
        let mut starting = self.inner.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Arc::clone(starting.entry(dir.to_owned()).or_default());
        Begun {
            docker: self,
            dir: dir.to_owned(),
            start,
        }
    }
}

/// Starts of one attempt that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Starting {
    /// The wish to stop.
    pub stop: CancellationToken,
    /// One at a time: those behind it find what it made.
    pub turn: tokio::sync::Mutex<()>,
}

/// A start on its way.
pub(crate) struct Begun<'a> {
    docker: &'a Docker,
    dir: PathBuf,
    pub start: Arc<Starting>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut starting = self
            .docker
            .inner
            .starting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The map's and this one.
        if Arc::strong_count(&self.start) <= 2 {
            starting.remove(&self.dir);
        }
    }
}

#[async_trait]
impl Runtime for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    /// What else a daemon cannot do shows when it is asked.
    fn refuses(&self, spec: &ContainerSpec) -> Option<String> {
        if !self.inner.remap.is_on() {
            return None;
        }
        let maps = "the docker daemon maps its containers' users (userns-remap)";
        if spec.network == Network::Host {
            return Some(format!(
                "{maps} and lets none of them into the host's network: ask for `network: egress`, or send the step to \
                 another agent"
            ));
        }
        let unseen = body::unseen(spec, self.api())?;
        Some(format!(
            "{maps}, and before its API 1.44 (Docker 25) it cannot show them the host's {unseen}: leave that view away, or \
             upgrade the daemon"
        ))
    }

    async fn offers(&self) -> BTreeSet<&'static str> {
        match egress::possible(self.inner.connection.dialect.podman).await {
            Ok(()) => BTreeSet::from([types::OFFER_EGRESS, types::OFFER_SERVICES]),
            Err(error) => {
                tracing::info!(why = error.message, "no network: egress on the docker runtime");
                BTreeSet::from([types::OFFER_SERVICES])
            }
        }
    }

    async fn start(&self, dir: &Path, spec: ContainerSpec, secrets: Secrets) -> Result<Found, RuntimeError> {
        self.start_attempt(&Files::new(dir), spec, secrets).await
    }

    async fn adopt(&self, dir: &Path) -> Result<Found, RuntimeError> {
        let files = Files::new(dir);
        match files.common.exit_record() {
            Ok(Some(record)) => return Ok(Found::Ended(Ended::Finished(Box::new(record)))),
            Ok(None) => {}
            Err(error) => return Err(RuntimeError(format!("cannot read the exit record: {error}"))),
        }
        if files.started().is_some() && !files.never_began() {
            // It may have run: what became of it is for the one who waits, with all the daemon's time.
            return Ok(Found::Running(Box::new(Running::new(self.clone(), files, None))));
        }
        // Without the marker it was never told to go, or its own record says so. What waits at its door gives up; `remove` takes it away.
        Ok(Found::Ended(Ended::NeverStarted(String::new())))
    }

    async fn stop(&self, dir: &Path) -> Result<(), RuntimeError> {
        let files = Files::new(dir);
        if !dir.exists() {
            return Ok(());
        }
        tokio::task::spawn_blocking(move || files.wish_stop())
            .await
            .map_err(|error| RuntimeError(format!("the runtime's task ended: {error}")))?
            .map_err(|error| RuntimeError(format!("cannot write the stop wish: {error}")))?;
        let starting = self.inner.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = starting.get(dir) {
            start.stop.cancel();
        }
        Ok(())
    }

    async fn remove(&self, dir: &Path) -> Result<(), RuntimeError> {
        if !dir.exists() {
            return Ok(());
        }
        let files = Files::new(dir);
        let has_ended = files.common.exit_record().is_ok_and(|record| record.is_some());
        if files.started().is_some() && !has_ended && !files.never_began() {
            return Err(RuntimeError("the attempt is still running".to_owned()));
        }
        if let Some(order) = files.order() {
            let name = body::name(&order.spec.id);
            if has_ended {
                // Its end may be on record here before the daemon has seen it, which would kill what is gone.
                self.state(&name, LAG).await;
            }
            self.remove_container(&name)
                .await
                .map_err(|error| RuntimeError(error.to_string()))?;
        }
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || fs_err::remove_dir_all(dir))
            .await
            .map_err(|error| RuntimeError(format!("the runtime's task ended: {error}")))?
            .map_err(|error| RuntimeError(format!("cannot remove the attempt's directory: {error}")))
    }

    async fn strays(&self) -> Result<Vec<Stray>, RuntimeError> {
        let owned = self
            .owned()
            .await
            .map_err(|error| RuntimeError(error.to_string()))?;
        let gone = owned.into_iter().filter(|owned| !owned.dir.exists());
        Ok(gone
            .map(|owned| Stray {
                what: format!("the container {} on the daemon, {}", owned.name, owned.state),
                id: owned.attempt,
            })
            .collect())
    }

    async fn clear(&self, stray: &Stray) -> Result<(), RuntimeError> {
        let owned = self
            .owned()
            .await
            .map_err(|error| RuntimeError(error.to_string()))?;
        // By our own label again: a name alone could be anybody's by now.
        for one in owned
            .iter()
            .filter(|one| one.attempt == stray.id && !one.dir.exists())
        {
            self.remove_container(&one.name)
                .await
                .map_err(|error| RuntimeError(error.to_string()))?;
        }
        Ok(())
    }
}
