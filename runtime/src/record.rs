//! How an attempt's container ended: the content of `exit.json`.

use serde::{Deserialize, Serialize};
use types::Millis;

/// The shim's own account of an attempt, written once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The attempt whose end it is, by the name of its directory; none in what older versions and other runtimes write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// The main process's exit code, when it exited by itself.
    pub code: Option<i32>,
    /// The signal that ended it, when one did.
    pub signal: Option<i32>,
    /// Processes of the step that the kernel killed for memory; a fact beside the exit code.
    pub oom_kills: u32,
    /// The timeout passed.
    pub timed_out: bool,
    /// We were asked to stop it.
    pub stopped: bool,
    /// TERM and the grace were not enough.
    pub killed_after_grace: bool,
    /// Why the main process never ran.
    pub start_error: Option<StartError>,
    /// Whether the step's program was executed.
    pub started: bool,
    /// Wall clock, milliseconds since the epoch; for people.
    pub started_at_ms: i64,
    /// Wall clock, milliseconds since the epoch; for people.
    pub finished_at_ms: i64,
    /// From start to end by the boot-time clock.
    pub duration_ms: Millis,
    /// Highest memory of the whole step; without a cgroup that of its largest process.
    pub peak_memory_bytes: u64,
    /// Processor time of all the step's processes; 0 where the host keeps no such account (version 1 without cpuacct).
    pub cpu_ms: Millis,
    /// Standard output.
    pub stdout: StreamRecord,
    /// Standard error.
    pub stderr: StreamRecord,
    /// What was in force, read back; absent when it did not come that far.
    pub hardening: Option<Hardening>,
    /// The image that ran, by its digest; none for the host's own system.
    #[serde(default)]
    pub image_digest: Option<String>,
    /// What was to be kept of it, each with what became of that; the bytes lie in [`crate::AttemptDir::artifacts`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactRecord>,
    /// Who ended it, when neither the step nor we did: it is no success then, whatever its exit code.
    #[serde(default)]
    pub ended_by: Option<String>,
    /// It was ended because it was not ready in time: what the last look said.
    #[serde(default)]
    pub not_ready: Option<String>,
}

/// What became of one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub end: ArtifactEnd,
}

/// What became of something that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactEnd {
    /// It was copied.
    Kept {
        /// Where in the file its bytes begin.
        offset: u64,
        /// How many there are.
        bytes: u64,
        /// Of them, 64 hexadecimal digits.
        sha256: String,
        /// It was a directory and is a tar archive.
        is_directory: bool,
    },
    /// There was nothing at its path.
    Missing,
    /// It is nothing that is kept: a link, a FIFO, too large; or the disk was full. Why, for people.
    Refused {
        /// Why.
        why: String,
    },
}

/// One stream's account. The file holds the first bytes and, after a loss, the last ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamRecord {
    /// Bytes that the step wrote.
    pub bytes: u64,
    /// Bytes of them that are not in the file.
    pub dropped: u64,
    /// Where in the file the dropped bytes are missing.
    pub gap_at: Option<u64>,
    /// Why the file could not be written, when that was the cause of a loss.
    pub error: Option<String>,
    /// What wrote the file was killed: bytes may be missing after its last one, and nobody counted them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end_unknown: bool,
}

/// Why the main process never ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// The kind, for decisions.
    pub kind: StartErrorKind,
    /// One line for people.
    pub message: String,
}

impl StartError {
    /// One of a kind.
    #[must_use]
    pub fn new(kind: StartErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The machine, the kernel or the runtime refused.
    #[must_use]
    pub fn runtime(what: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(StartErrorKind::Runtime, format!("{what}: {cause}"))
    }
}

/// The kinds of start errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartErrorKind {
    /// No such program.
    NotFound,
    /// The program is there but cannot be executed.
    NotExecutable,
    /// The working directory cannot be entered.
    Workdir,
    /// The spec is refused.
    Spec,
    /// It was asked to stop before it started.
    Stopped,
    /// A part of the hardening was not in force: nothing was run.
    Hardening,
    /// There is no such image, here or at its registry.
    ImageMissing,
    /// The registry wants other credentials.
    ImageDenied,
    /// The registry cannot be reached, or answers that it cannot now.
    RegistryUnreachable,
    /// The image is for another processor or system.
    ImagePlatform,
    /// The image was not fetched within its time.
    ImageTimeout,
    /// The image is not what its digest or its manifest says, or cannot be unpacked.
    ImageBroken,
    /// The machine, the kernel or the runtime refused.
    Runtime,
}

/// What was in force for the step's processes, read back from the kernel and not from what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardening {
    /// `NoNewPrivs` of `/proc/self/status`.
    pub no_new_privs: bool,
    /// `Seccomp` of `/proc/self/status`: 2 is a filter.
    pub seccomp: u8,
    /// `CapEff`, hexadecimal.
    pub cap_effective: String,
    /// `CapBnd`, hexadecimal.
    pub cap_bounding: String,
    /// First id of the host that the step's user namespace is mapped to; without root the agent's own user, the only one.
    pub host_uid_base: u32,
    /// Whose that id is.
    #[serde(default)]
    pub host_ids: HostIds,
    /// Memory limit as the cgroup says it, or each process.
    pub memory_limit_bytes: Option<u64>,
    /// Process limit as the cgroup says it, or each process; our pid 1 included.
    pub pids_limit: Option<u64>,
    /// What holds the two.
    #[serde(default)]
    pub limits: LimitsBy,
}

impl Hardening {
    /// Whether the step is the agent's own user on the host. Records from before `host_ids` had limits of processes then.
    #[must_use]
    pub fn as_agent(&self) -> bool {
        self.host_ids == HostIds::Agent || self.limits == LimitsBy::Process
    }
}

/// Whom a step's users are on the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostIds {
    /// A range, as root may give one.
    #[default]
    Range,
    /// The agent's own user, all of them.
    Agent,
}

/// What holds a step to its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitsBy {
    /// A cgroup: the step as a whole.
    #[default]
    Cgroup,
    /// Limits of each process (setrlimit(2)): its private memory (`RLIMIT_DATA`), and the processes of the step's user
    /// (`RLIMIT_NPROC`). There is none of the processor, and memory that is refused is no OOM kill.
    Process,
}
