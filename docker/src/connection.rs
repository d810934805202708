//! The daemon's socket: found, asked for its version, and every call with a deadline.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{API_DEFAULT_VERSION, Docker as Client};

/// The deadline of a call that does one small thing.
pub(crate) const CALL: Duration = Duration::from_secs(30);
/// The deadline of a start: mounts, namespaces, networks.
pub(crate) const START: Duration = Duration::from_secs(120);
/// bollard's own timeout covers the time to the headers only; ours are the deadlines that count.
const CLIENT_SECONDS: u64 = 24 * 60 * 60;
/// The oldest API that we speak: Docker 20.10, Podman 4.
const API_MIN: (usize, usize) = (1, 41);
/// Where daemons listen, in the order in which they are looked for.
const USUAL: [&str; 3] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
];

/// A daemon's address: the path of a Unix socket. A container gets open files through one, so it is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(PathBuf);

/// Not the address of a daemon that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostError(String);

impl std::str::FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self(PathBuf::from(path)));
        }
        let shown: String = text.chars().take(80).collect();
        Err(HostError(format!(
            "{shown:?} is not a Unix socket: give unix:///var/run/docker.sock or a path (a daemon on another host cannot \
             be used: run an agent there)"
        )))
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

impl Host {
    /// The daemon of this host: `$DOCKER_HOST`, else where Docker and Podman listen.
    ///
    /// # Errors
    /// `$DOCKER_HOST` is no Unix socket, or there is none in the usual places.
    pub fn find() -> Result<Self, HostError> {
        if let Some(host) = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()) {
            return host
                .parse()
                .map_err(|HostError(why)| HostError(format!("DOCKER_HOST: {why}")));
        }
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = own.iter().flat_map(|dir| {
            ["docker.sock", "podman/podman.sock"]
                .into_iter()
                .map(|name| dir.join(name))
        });
        USUAL
            .iter()
            .map(PathBuf::from)
            .chain(own)
            .find(|path| path.exists())
            .map(Self)
            .ok_or_else(|| {
                HostError(format!(
                    "no daemon's socket in {}: start Docker or Podman's socket (systemctl start docker, or podman.socket), \
                     or name it with --docker-host",
                    USUAL.join(", ")
                ))
            })
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// The daemon did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// It refused.
    #[error("{what}: the docker daemon says: {message}")]
    Status {
        /// What was tried.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// It did not answer in time: hung, or busy beyond measure.
    #[error("{what}: the docker daemon did not answer within {} s", after.as_secs())]
    Timeout {
        /// What was tried.
        what: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// It cannot be reached, or the connection broke.
    #[error("{what}: the docker daemon at {host} cannot be reached: {why}")]
    Unreachable {
        /// What was tried.
        what: &'static str,
        /// Its address.
        host: String,
        /// Why.
        why: String,
    },
    /// It is too old.
    #[error("the docker daemon speaks API {0}, at least {major}.{minor} is needed: Docker 20.10 or Podman 4", major = API_MIN.0, minor = API_MIN.1)]
    Old(String),
    /// This host's side failed.
    #[error("{what}: {why}")]
    Here {
        /// What was tried.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl DockerError {
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(crate) fn here(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Here {
            what,
            why: why.to_string(),
        }
    }
}

/// The daemon, with a version that both sides speak.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub client: Client,
    pub host: Host,
    pub dialect: Dialect,
}

/// How it is to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Major and minor of the API spoken.
    pub api: (usize, usize),
    /// Whether it is Podman, which takes and adds other mounts than Docker.
    pub podman: bool,
}

impl Connection {
    /// Connects and settles the version; what the daemon says of itself.
    pub(crate) async fn open(host: Host) -> Result<(Self, SystemVersion), DockerError> {
        let what = "cannot connect";
        let unreachable = |why: String| DockerError::Unreachable {
            what,
            host: host.to_string(),
            why,
        };
        let path = host.path().to_string_lossy().into_owned();
        let client = Client::connect_with_unix(&path, CLIENT_SECONDS, API_DEFAULT_VERSION)
            .map_err(|error| unreachable(said(&error)))?;
        let client = tokio::time::timeout(CALL, client.negotiate_version())
            .await
            .map_err(|_| DockerError::Timeout { what, after: CALL })?
            .map_err(|error| unreachable(said(&error)))?;
        let version = client.client_version();
        let api = (version.major_version, version.minor_version);
        if api < API_MIN {
            return Err(DockerError::Old(version.to_string()));
        }
        let version = tokio::time::timeout(CALL, client.version())
            .await
            .map_err(|_| DockerError::Timeout { what, after: CALL })?
            .map_err(|error| unreachable(said(&error)))?;
        // Podman names its engine among its components; everything else that speaks this API is taken for Docker.
        let mut components = version.components.iter().flatten();
        let podman = components.any(|component| component.name.starts_with("Podman"));
        let connection = Self {
            client,
            host,
            dialect: Dialect { api, podman },
        };
        Ok((connection, version))
    }

    /// Awaits a call for at most `deadline`.
    pub(crate) async fn call<T>(
        &self,
        what: &'static str,
        deadline: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, DockerError> {
        match tokio::time::timeout(deadline, call).await {
            Err(_) => Err(DockerError::Timeout {
                what,
                after: deadline,
            }),
            Ok(Err(error)) => Err(self.error(what, &error)),
            Ok(Ok(value)) => Ok(value),
        }
    }

    pub(crate) fn error(&self, what: &'static str, error: &bollard::errors::Error) -> DockerError {
        use bollard::errors::Error as E;
        match error {
            E::DockerResponseServerError { status_code, message } => DockerError::Status {
                what,
                status: *status_code,
                message: one_line(message),
            },
            E::DockerStreamError { error } => DockerError::Status {
                what,
                status: 500,
                message: one_line(error),
            },
            other => DockerError::Unreachable {
                what,
                host: self.host.to_string(),
                why: said(other),
            },
        }
    }
}

/// An error with its causes.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    one_line(&text)
}

/// The daemon's words as one line of bounded length.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(600).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_sockets_of_this_host_are_daemons() {
        for text in ["unix:///run/docker.sock", "/run/docker.sock"] {
            assert_eq!(
                text.parse::<Host>().unwrap().to_string(),
                "unix:///run/docker.sock"
            );
        }
        for text in ["tcp://10.0.0.1:2375", "ssh://host", "docker.sock", ""] {
            let error = text.parse::<Host>().unwrap_err().to_string();
            assert!(error.contains("Unix socket"), "{text}: {error}");
        }
    }
}
