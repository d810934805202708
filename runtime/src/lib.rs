//! The native runtime: each step in a fresh hardened container on the host's own system (`image: host`) or from an image,
//! without a daemon.
//!
//! An attempt belongs to a **shim** of its own: this binary executed again as `… shim DIR`, single-threaded, in its
//! own session, outliving the agent. It starts the container through youki's libcontainer (only in
//! `shim/container.rs`), writes its output to capped files, enforces the timeout, and leaves `exit.json`. The agent
//! holds a [`Native`], starts, adopts, stops and removes attempts by their directory, and [`Handle::wait`]s.
//!
//! The attempt's directory (0700, below the agent's data directory):
//!
//! | file | what |
//! |---|---|
//! | `lock` | `flock` held by the shim for its life; its pid and start time |
//! | `job.json` | the [`ContainerSpec`] as started; never a secret |
//! | `files/N` | the bytes of the step's Nth file, put there before the start |
//! | `started` | durable before the container may execute anything: with it and without `exit.json` the attempt is *lost* |
//! | `out`, `err` | the step's streams, capped; see [`StreamRecord`] for what was dropped and where |
//! | `run/output`, `run/degraded` | what the step wrote to `$FIREHALL_OUTPUT` and `$FIREHALL_DEGRADED`, copied at its end |
//! | `artifacts` | what is kept of the step, one after the other; the record says which bytes are whose |
//! | `stop` | the wish to stop |
//! | `ready` | how long it took to be ready, where somebody asked; see [`Pod`] |
//! | `exit.json` | the [`ExitRecord`], filled up with spaces: written, synced, renamed, directory synced; it names its attempt |
//! | `exit.json.tmp`, `unstarted` | the room for the one, and what the other will be; of an attempt before in a directory that is used again |
//! | `shim.log` | what the shim could not tell otherwise |

mod artifacts;
mod attempt_dir;
mod cannot;
mod causes;
mod cgroup;
mod clock;
mod contract;
mod egress;
mod fetch;
mod forked;
mod forks;
mod go;
pub mod kit;
mod ledger;
mod native;
mod probe;
mod program;
mod ready;
mod record;
mod rootfs;
mod seccomp;
pub mod shim;
pub mod skeleton;
mod slot;
mod spares;
mod spec;
mod strays;
mod sys;
mod who;

pub use attempt_dir::{AttemptDir, RUN_FILE_BYTES};
pub use cannot::Cannot;
pub use contract::{Attached, Found, Runtime, RuntimeError};
pub use egress::supported as egress_supported;
pub use go::Go;
pub use native::{Adopted, Ended, Handle, Native, NativeError, Secrets, ShimCommand};
pub use probe::{Support, Unsupported};
pub use program::Program;
pub use record::{
    ArtifactEnd, ArtifactRecord, ExitRecord, Hardening, HostIds, LimitsBy, StartError, StartErrorKind,
    StreamRecord,
};
pub use rootfs::{ImageSource, Rootfs};
pub use spec::{ContainerSpec, Image, Pod, SpecArtifact, SpecError, SpecFile};
pub use strays::Stray;
pub use types::{HostView, Network, Pull};
pub use who::Who;
