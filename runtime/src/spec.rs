//! What one attempt's container is asked to be.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use types::{
    FILE_MODES, HostView, Millis, Network, Pull, Ready, UserRange, check_artifact_path, check_file_path,
    is_artifact_name, limits,
};

/// The least memory a step may be given: below it the kernel cannot even set the container up.
const MEMORY_MIN_BYTES: u64 = 8 * 1024 * 1024;
/// Ids inside the step's user namespace are 0 to this.
const UID_MAX: u32 = 65_535;
/// One text of a program's environment with its name, in bytes: Linux's MAX_ARG_STRLEN, `execve(2)`.
const ENV_MAX: usize = 128 * 1024;
/// A cgroup's directory name.
const ID_MAX: usize = 200;

/// One attempt's container. It is written to disk as `job.json`: secrets are passed apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Deterministic, from the attempt: `[a-z0-9_.-]`, 1 to 200 characters. Names the cgroup.
    pub id: String,
    /// What it sees as its root.
    #[serde(default)]
    pub image: Image,
    /// When the image is fetched.
    #[serde(default)]
    pub pull: Pull,
    /// The program and its arguments; a program without `/` is looked up in the step's `PATH`. Empty: what the image runs
    /// by itself.
    pub argv: Vec<String>,
    /// Environment in order; a later name wins. `PATH`, `HOME`, `FIREHALL_OUTPUT`, `FIREHALL_DEGRADED` have defaults.
    pub env: Vec<(String, String)>,
    /// Names of secrets that are files below `/run/secrets` (mode 0400, of the step's user, in memory) and not in the
    /// environment.
    #[serde(default)]
    pub secret_files: BTreeSet<String>,
    /// Files that it gets, mounted read-only; the bytes of the Nth lie in [`crate::AttemptDir::file`] N.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SpecFile>,
    /// What is kept of it; with one, its `/tmp` outlives it until that is copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<SpecArtifact>,
    /// What all of them may have together, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub artifact_bytes: u64,
    /// Absolute working directory inside; `/tmp` by default.
    pub workdir: Option<String>,
    /// Numeric user inside, 0 to 65535; 1000 by default. It is never the host's user of that number.
    pub user: Option<u32>,
    /// Whom the program may run as, whoever says so, the image's own `USER` too; empty: anybody.
    #[serde(default)]
    pub users: Vec<UserRange>,
    /// Memory and swap together, tmpfs included; at least 8 MiB.
    pub memory_bytes: u64,
    /// Processes and threads of the step; our pid 1 is not counted.
    pub pids: u32,
    /// Thousandths of a core, at least 10; none means no limit.
    pub cpu_millis: Option<u32>,
    /// Size of `/tmp` and of `/dev/shm`, each; how many files they hold follows from it, see [`Self::tmp_files`].
    pub tmp_bytes: u64,
    /// Network.
    pub network: Network,
    /// The host's own trees, read-only under `/host`.
    pub host_view: BTreeSet<HostView>,
    /// From the start of the main process to TERM.
    pub timeout_ms: Millis,
    /// From TERM to KILL.
    pub grace_ms: Millis,
    /// What is kept of each stream, in bytes; see [`crate::StreamRecord`].
    pub log_cap_bytes: u64,
    /// What it shares with the other containers of its attempt.
    #[serde(default)]
    pub pod: Pod,
}

/// A container's place among those of its attempt. By default it is alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Names that lead to its own loopback, where all of them are.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The directory of the container whose network it joins; that one must be ready.
    #[serde(default)]
    pub network_of: Option<PathBuf>,
    /// It runs no program: its first process only holds what others join, until it is told to end.
    #[serde(default)]
    pub holds: bool,
    /// When it counts as ready; see [`crate::AttemptDir::ready`].
    #[serde(default)]
    pub ready: Option<Ready>,
}

/// A file that a container gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecFile {
    /// Where it lies inside; see [`types::check_file_path`].
    pub path: String,
    /// Its permissions; it belongs to the step's user.
    pub mode: u32,
}

/// What is kept of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecArtifact {
    /// Its name; see [`types::is_artifact_name`].
    pub name: String,
    /// Where it lies inside; see [`types::check_artifact_path`].
    pub path: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// What a container sees as its root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// The host's own system, read-only and without its configuration.
    #[default]
    Host,
    /// An image by its reference: `alpine:3.22`, `registry:5000/team/tool@sha256:…`.
    Oci(String),
}

impl Image {
    /// The word of the language for [`Image::Host`].
    pub const HOST: &str = "host";

    /// As the language writes it.
    #[must_use]
    pub fn from_reference(reference: &str) -> Self {
        match reference {
            Self::HOST => Self::Host,
            other => Self::Oci(other.to_owned()),
        }
    }
}

/// A spec that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct SpecError {
    /// The field at fault.
    pub field: &'static str,
    /// Why.
    pub reason: String,
}

pub(crate) fn fault(field: &'static str, reason: impl Into<String>) -> SpecError {
    SpecError {
        field,
        reason: reason.into(),
    }
}

impl ContainerSpec {
    /// How many files, directories and links `/tmp` holds, and `/dev/shm`: one for each KiB, and some. A file that is not empty takes
    /// 4 KiB of their size. Of the others the kernel keeps about 1 KiB each, which nobody bounds where memory is not limited; where it
    /// is, a step would be ended for it, or read its program from disk again and again. Not in Podman, nor for Docker's `/dev/shm`: they
    /// have no such limit.
    #[must_use]
    pub const fn tmp_files(&self) -> u64 {
        64 + self.tmp_bytes / 1024
    }

    /// Checks everything that can be checked without the machine.
    ///
    /// # Errors
    /// The first field at fault and why.
    pub fn validate(&self) -> Result<(), SpecError> {
        validate_id(&self.id)?;
        match self.argv.first() {
            None if self.pod.holds || self.image != Image::Host => {}
            None => return Err(fault("argv", "is empty")),
            Some(program) if program.is_empty() => return Err(fault("argv", "has an empty program name")),
            Some(_) => {}
        }
        if self.argv.iter().any(|arg| arg.contains('\0')) {
            return Err(fault("argv", "has a NUL byte, which no program can receive"));
        }
        for (name, value) in &self.env {
            validate_env(name, value.as_bytes())?;
        }
        for name in &self.secret_files {
            if !is_secret_file(name) {
                let reason = format!("{name:?} is not [A-Za-z0-9_][A-Za-z0-9_.-]* of at most {ID_MAX}");
                return Err(fault("secret_files", reason));
            }
        }
        self.validate_files()?;
        if let Some(dir) = &self.workdir
            && (!dir.starts_with('/') || dir.contains('\0'))
        {
            return Err(fault("workdir", format!("{dir:?} is not an absolute path")));
        }
        if self.user.is_some_and(|uid| uid > UID_MAX) {
            return Err(fault("user", format!("must be at most {UID_MAX}")));
        }
        if self.memory_bytes < MEMORY_MIN_BYTES {
            return Err(fault(
                "memory_bytes",
                format!("must be at least {MEMORY_MIN_BYTES}"),
            ));
        }
        if self.pids == 0 {
            return Err(fault("pids", "must be at least 1"));
        }
        if self.cpu_millis.is_some_and(|cpu| cpu < 10) {
            return Err(fault("cpu_millis", "must be at least 10"));
        }
        if self.timeout_ms == 0 {
            return Err(fault("timeout_ms", "must be at least 1"));
        }
        self.pod.validate()
    }
}

impl Pod {
    fn validate(&self) -> Result<(), SpecError> {
        if let Some(name) = self.hosts.iter().find(|name| !types::is_service_name(name)) {
            return Err(fault("pod.hosts", format!("{name:?} is no host's name")));
        }
        if let Some(ready) = &self.ready {
            ready.within_language().map_err(|why| fault("pod.ready", why))?;
            if let types::ReadyCheck::Command(argv) = &ready.check
                && argv.iter().any(|arg| arg.contains('\0'))
            {
                return Err(fault("pod.ready", "has a NUL byte, which no program can receive"));
            }
        }
        Ok(())
    }
}

impl ContainerSpec {
    fn validate_files(&self) -> Result<(), SpecError> {
        if self.files.len() > limits::FILES {
            return Err(fault("files", format!("are more than {}", limits::FILES)));
        }
        for file in &self.files {
            check_file_path(&file.path, self.image == Image::Host).map_err(|why| fault("files", why))?;
            if file.mode & !FILE_MODES != 0 {
                return Err(fault(
                    "files",
                    format!("{:?} has the mode {:o}", file.path, file.mode),
                ));
            }
        }
        if self.artifacts.len() > limits::ARTIFACTS {
            return Err(fault("artifacts", format!("are more than {}", limits::ARTIFACTS)));
        }
        for artifact in &self.artifacts {
            if !is_artifact_name(&artifact.name) {
                return Err(fault("artifacts", format!("{:?} is no name", artifact.name)));
            }
            check_artifact_path(&artifact.path).map_err(|why| fault("artifacts", why))?;
        }
        Ok(())
    }
}

pub(crate) fn validate_id(id: &str) -> Result<(), SpecError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
    if id.is_empty() || id.len() > ID_MAX || id.starts_with('.') || !id.chars().all(plain) {
        return Err(fault(
            "id",
            format!("{id:?} is not [a-z0-9_-][a-z0-9_.-]* of at most {ID_MAX}"),
        ));
    }
    Ok(())
}

/// A file's name that leads nowhere else.
fn is_secret_file(name: &str) -> bool {
    name.len() <= ID_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

pub(crate) fn validate_env(name: &str, value: &[u8]) -> Result<(), SpecError> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(fault("env", format!("{name:?} is not a name")));
    }
    if name.len() + value.len() + 2 > ENV_MAX {
        return Err(fault(
            "env",
            format!(
                "the value of {name} has {} bytes; a program receives at most {ENV_MAX} with its name",
                value.len()
            ),
        ));
    }
    if value.contains(&0) {
        return Err(fault(
            "env",
            format!("the value of {name} has a NUL byte, which no program can receive"),
        ));
    }
    Ok(())
}
