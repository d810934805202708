//! Services: containers beside a step, for as long as it runs, in one network with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{ExitStatus, Millis, Pull, Resources, WorkFile, limits, text};

/// Names that every container has already.
const TAKEN: [&str; 3] = ["localhost", "step", "firehall"];

/// A container beside a step. Its network is the step's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceWork {
    /// The image; `host` is the agent's own system, read-only.
    pub image: String,
    /// When the image is fetched.
    #[serde(default, skip_serializing_if = "Pull::is_default")]
    pub pull: Pull,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Environment, by name.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Environment names whose value is the agent's secret of the given name.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Those of them that are files below `/run/secrets` and not in the environment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secret_files: BTreeSet<String>,
    /// Files that it gets, read-only, by their path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, WorkFile>,
    /// Limits.
    #[serde(default)]
    pub resources: Resources,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Numeric user inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// When the step may start; none: as soon as the service's program is executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
}

/// How a service is found ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What is tried.
    #[serde(flatten)]
    pub check: ReadyCheck,
    /// Between two tries.
    pub interval_ms: Millis,
    /// From the service's start.
    pub timeout_ms: Millis,
}

/// What is tried, inside the service's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadyCheck {
    /// Somebody accepts connections at this port of the loopback.
    Tcp(u16),
    /// This program, run as the service's own user and with its environment, exits with 0.
    Command(Vec<String>),
}

impl Ready {
    /// Whether a definition could have said this.
    ///
    /// # Errors
    /// What is out of the language's bounds.
    pub fn within_language(&self) -> Result<(), String> {
        let times = [
            (
                "interval",
                self.interval_ms,
                limits::READY_INTERVAL_MIN_MS,
                limits::READY_INTERVAL_MAX_MS,
            ),
            (
                "timeout",
                self.timeout_ms,
                limits::READY_TIMEOUT_MIN_MS,
                limits::READY_TIMEOUT_MAX_MS,
            ),
        ];
        if let Some((what, asked, low, high)) = times
            .iter()
            .find(|(_, asked, low, high)| !(low..=high).contains(&asked))
        {
            return Err(format!(
                "its {what} is {asked} ms, the language has {low} to {high}"
            ));
        }
        match &self.check {
            ReadyCheck::Tcp(0) => Err("there is no port 0".to_owned()),
            ReadyCheck::Command(argv) if argv.first().is_none_or(String::is_empty) => {
                Err("its command has no program".to_owned())
            }
            ReadyCheck::Tcp(_) | ReadyCheck::Command(_) => Ok(()),
        }
    }
}

impl fmt::Display for Ready {
    /// For people: `ready when port 5432 answers, within 1m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.check {
            ReadyCheck::Tcp(port) => write!(f, "ready when port {port} answers")?,
            ReadyCheck::Command(argv) => write!(f, "ready when {} exits with 0", argv.join(" "))?,
        }
        write!(f, ", within {}", text::duration(self.timeout_ms))
    }
}

/// Whether this can be a service's name: it is a host's name, a part of a path and of a cgroup's name.
#[must_use]
pub fn is_service_name(name: &str) -> bool {
    name.len() <= limits::SERVICE_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !TAKEN.contains(&name)
}

/// What became of a service, as its agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// From its start until it was found ready; absent when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<Millis>,
    /// How it ended, when it ended before the step did or could not be started: nobody had asked it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<ServiceEnd>,
    /// The digest of the image that ran, for an image from a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Bytes that it wrote to standard output, the dropped ones included.
    #[serde(default)]
    pub stdout_bytes: u64,
    /// Bytes that it wrote to standard error, the dropped ones included.
    #[serde(default)]
    pub stderr_bytes: u64,
}

/// An end that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEnd {
    /// One line that says how, and its last words. At most `limits::MESSAGE_CHARS`.
    pub message: String,
    /// How its process ended; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
    /// From its start.
    pub after_ms: Millis,
}
