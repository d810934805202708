//! What an agent is asked to do: plain typed values and references to secrets, no expression.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{ArtifactDecl, FailureKind, Millis, Object, ServiceWork, Type, WorkFile, limits};

/// One attempt's work, fully evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// What to do.
    #[serde(flatten)]
    pub body: WorkBody,
    /// The declared outputs; the agent checks them, then the server again.
    #[serde(default)]
    pub outputs: BTreeMap<String, OutputDecl>,
    /// The attempt's time, measured by the agent's boot-time clock.
    pub timeout_ms: Millis,
    /// Between TERM and KILL.
    pub grace_ms: Millis,
    /// How long the agent goes on without the server (the lease).
    pub disconnect_ms: Millis,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WorkBody {
    /// A built-in action.
    Action(ActionWork),
    /// A fresh container.
    Container(ContainerWork),
}

/// A built-in action with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionWork {
    /// `slack/war-room`.
    pub action: String,
    /// Its major version, pinned by the plan.
    pub major: u32,
    /// The digest of its signature, pinned by the plan.
    pub digest: String,
    /// Its parameters, checked against the signature.
    pub params: Object,
}

/// A fresh container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerWork {
    /// The image; `host` is the agent's own system, read-only.
    pub image: String,
    /// When the image is fetched.
    #[serde(default, skip_serializing_if = "Pull::is_default")]
    pub pull: Pull,
    /// The program and its arguments; `run: TEXT` is `["/bin/sh", "-e", "-c", TEXT]`.
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
    /// What is kept of it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, ArtifactDecl>,
    /// Limits.
    #[serde(default)]
    pub resources: Resources,
    /// Network.
    #[serde(default)]
    pub network: Network,
    /// The host's own trees, read-only under `/host`.
    #[serde(default)]
    pub host_view: BTreeSet<HostView>,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Numeric user inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// Where outputs are read from.
    #[serde(default)]
    pub output_from: OutputFrom,
    /// What runs beside it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, ServiceWork>,
    /// The runtime that it must run on; none for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeName>,
}

/// What of a container not every runtime on every host can give, by the word that an agent offers it under.
pub const OFFER_EGRESS: &str = "network:egress";
/// The other one: several containers in one network.
pub const OFFER_SERVICES: &str = "services";

impl ContainerWork {
    /// The files of the step and of what runs beside it.
    pub fn all_files(&self) -> impl Iterator<Item = (&String, &WorkFile)> {
        let beside = self.services.values().flat_map(|service| &service.files);
        self.files.iter().chain(beside)
    }

    /// Words that a runtime must offer to take this.
    pub fn wants_offered(&self) -> impl Iterator<Item = &'static str> {
        let egress = (self.network == Network::Egress).then_some(OFFER_EGRESS);
        let services = (!self.services.is_empty()).then_some(OFFER_SERVICES);
        egress.into_iter().chain(services)
    }
}

/// What runs containers on an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeName {
    /// The agent's own, without a daemon.
    Native,
    /// A Docker or Podman daemon of the agent's host.
    Docker,
}

impl RuntimeName {
    /// The word of the language and of the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Docker => "docker",
        }
    }
}

/// Limits of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Memory and swap together.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Thousandths of a core; none means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            memory_bytes: 256 * 1024 * 1024,
            pids: 128,
            cpu_millis: None,
        }
    }
}

/// What a container may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Only its own loopback.
    #[default]
    None,
    /// Outwards, but not the host nor its neighbours.
    Egress,
    /// The host's own network.
    Host,
}

impl Network {
    /// The word of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Egress => "egress",
            Self::Host => "host",
        }
    }
}

/// When an image is fetched from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pull {
    /// When the agent's host does not have it.
    #[default]
    Missing,
    /// Before each start: what a tag means may have changed.
    Always,
    /// Never: it must be there.
    Never,
}

impl Pull {
    /// The word of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// Whether it is [`Pull::Missing`], which stored forms leave out.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A tree of the host's own that a step may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostView {
    /// `/host/proc`.
    Proc,
    /// `/host/sys`.
    Sys,
}

impl HostView {
    /// The word of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proc => "proc",
            Self::Sys => "sys",
        }
    }
}

/// Where a container's outputs are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFrom {
    /// The file `$FIREHALL_OUTPUT`.
    #[default]
    File,
    /// One JSON object on standard output.
    StdoutJson,
}

/// A declared output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputDecl {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// When and how often a failed attempt is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Tries after the first.
    pub limit: u32,
    /// Before the first retry.
    pub delay_ms: Millis,
    /// Factor from one retry to the next, at least 1.
    pub backoff: f64,
    /// The longest delay.
    pub max_delay_ms: Millis,
    /// Full jitter: the delay is drawn between 0 and its value.
    pub jitter: bool,
    /// What is retried; empty means each kind that a retry can help.
    #[serde(default)]
    pub on: Vec<RetryOn>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            limit: 0,
            delay_ms: 1_000,
            backoff: 2.0,
            max_delay_ms: 60_000,
            jitter: true,
            on: Vec::new(),
        }
    }
}

/// A kind of failure that is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// This exit code.
    ExitCode(i32),
    /// The attempt's time was over.
    Timeout,
    /// The memory limit was hit.
    Oom,
    /// A vendor limits us.
    RateLimited,
}

impl Retry {
    /// Whether a failure of this kind is tried again, its budget aside.
    #[must_use]
    pub fn covers(&self, kind: FailureKind, exit_code: Option<i32>) -> bool {
        use FailureKind as K;
        if self.on.is_empty() {
            return matches!(
                kind,
                K::Exit
                    | K::Signal
                    | K::Oom
                    | K::Timeout
                    | K::Start
                    | K::Output
                    | K::Transient
                    | K::RateLimited
            );
        }
        self.on.iter().any(|on| match on {
            RetryOn::ExitCode(code) => kind == K::Exit && exit_code == Some(*code),
            RetryOn::Timeout => kind == K::Timeout,
            RetryOn::Oom => kind == K::Oom,
            RetryOn::RateLimited => kind == K::RateLimited,
        })
    }

    /// The delay before retry `n` (from 1), before jitter.
    #[must_use]
    pub fn delay_ms(&self, n: u32) -> Millis {
        let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
        #[allow(clippy::cast_precision_loss, reason = "milliseconds far below 2^53")]
        let wanted = self.delay_ms as f64 * self.backoff.max(1.0).powi(exponent);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded by max_delay_ms"
        )]
        let capped = wanted.min(self.max_delay_ms as f64) as Millis;
        capped.min(limits::TIMEOUT_MAX_MS)
    }
}
