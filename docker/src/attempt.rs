//! The files of one attempt that this runtime has beside the common ones.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use runtime::kit::{boot, sync_dir, wall_ms, write_durably};
use runtime::{AttemptDir, ContainerSpec, Network, SpecFile};
use serde::{Deserialize, Serialize};

use crate::wire::Left;

/// Our pid 1's record is far shorter.
const RECORD_BYTES: u64 = 256 * 1024;

/// One attempt's directory.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub common: AttemptDir,
}

/// `job.json`: what is to run, without secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub spec: ContainerSpec,
    pub image_digest: Option<String>,
}

/// `started`: durable before the word to go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Since boot.
    pub boot: Duration,
    /// Wall clock, milliseconds since the epoch.
    pub wall_ms: i64,
}

/// The open files for our pid 1, in the order of [`crate::wire::FILES`].
pub(crate) type Handed = [File; crate::wire::FILES.len()];

impl Files {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            common: AttemptDir::new(dir),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.common.path()
    }

    pub(crate) fn door(&self) -> PathBuf {
        self.path().join("door")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Makes the directory (0700); its parent exists.
    pub(crate) fn make(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn write_order(&self, order: &Order) -> io::Result<()> {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.common.job())?;
        file.write_all(&serde_json::to_vec_pretty(order)?)
    }

    /// Where [`Self::write_hosts`] writes.
    pub(crate) fn hosts(&self) -> PathBuf {
        self.file("hosts")
    }

    /// Writes the names that the step knows, for a daemon that would write them otherwise for each container of a network, and put
    /// the host's own among them.
    pub(crate) fn write_hosts(&self, spec: &ContainerSpec) -> io::Result<()> {
        // Bytes: what operators write into it need not be UTF-8.
        let mut text = match spec.network {
            Network::Host => match std::fs::read("/etc/hosts") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                read => read?,
            },
            Network::None | Network::Egress => b"127.0.0.1\tlocalhost step\n::1\tlocalhost\n".to_vec(),
        };
        for name in &spec.pod.hosts {
            text.extend_from_slice(format!("127.0.0.1\t{name}\n").as_bytes());
        }
        std::fs::write(self.hosts(), text)?;
        std::fs::set_permissions(self.hosts(), PermissionsExt::from_mode(0o644))
    }

    /// Gives the step's files to its user. An agent that is not root, or lacks CAP_CHOWN, cannot: then others must be allowed to
    /// read them.
    pub(crate) fn give(&self, files: &[SpecFile], (user, group): (u32, u32)) -> io::Result<()> {
        for (n, file) in files.iter().enumerate() {
            let open = File::open(self.common.file(n))?;
            open.set_permissions(PermissionsExt::from_mode(file.mode))?;
            if let Err(error) = fchown(&open, Some(user), Some(group))
                && file.mode & 0o004 == 0
            {
                let what = format!(
                    "{}: {error}: this agent may not give files away; give the file a mode that lets others read it",
                    file.path
                );
                return Err(io::Error::new(error.kind(), what));
            }
        }
        Ok(())
    }

    pub(crate) fn order(&self) -> Option<Order> {
        serde_json::from_slice(&std::fs::read(self.common.job()).ok()?).ok()
    }

    /// From here on the attempt may have run.
    pub(crate) fn mark_started(&self) -> io::Result<()> {
        let started = Started {
            boot: boot(),
            wall_ms: wall_ms(),
        };
        write_durably(self.path(), "started", &serde_json::to_vec(&started)?)?;
        sync_dir(&self.path().join(".."))
    }

    /// When it was told to go, if it was.
    pub(crate) fn started(&self) -> Option<Started> {
        let text = std::fs::read(self.common.started()).ok()?;
        // An unreadable marker is a marker all the same.
        Some(serde_json::from_slice(&text).unwrap_or(Started {
            boot: Duration::ZERO,
            wall_ms: 0,
        }))
    }

    /// Makes the files that our pid 1 gets, anew, and opens them. The lock is held by whoever has the file.
    pub(crate) fn hand(&self) -> io::Result<Handed> {
        let run = self.file("run");
        match DirBuilder::new().mode(0o700).create(&run) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let fresh = |path: PathBuf| {
            File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(path)
        };
        let alive = fresh(self.file("alive"))?;
        alive.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another container of this attempt lives"),
            TryLockError::Error(error) => error,
        })?;
        let halt = self.file("halt");
        match mkfifo(&halt, Mode::from_bits_truncate(0o600)) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let halt = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(halt)?;
        Ok([
            fresh(self.file("inside.json"))?,
            alive,
            halt,
            fresh(self.common.stdout())?,
            fresh(self.common.stderr())?,
            fresh(run.join("output"))?,
            fresh(run.join("degraded"))?,
            fresh(self.file("ready"))?,
            fresh(self.common.artifacts())?,
        ])
    }

    /// Makes the directory of the door, which any user inside may pass.
    pub(crate) fn make_door(&self) -> io::Result<()> {
        match std::fs::create_dir(self.door()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        std::fs::set_permissions(self.door(), PermissionsExt::from_mode(0o755))
    }

    /// Whether our pid 1 lives, by the lock that it holds.
    pub(crate) fn lives(&self) -> bool {
        let Ok(file) = File::open(self.file("alive")) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// What our pid 1 left, once it is whole.
    pub(crate) fn left(&self) -> io::Result<Option<Left>> {
        let mut text = Vec::new();
        match File::open(self.file("inside.json")) {
            Ok(file) => file.take(RECORD_BYTES).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if text.last() != Some(&b'\n') {
            return Ok(None);
        }
        serde_json::from_slice(&text).map(Some).map_err(io::Error::other)
    }

    /// Whether our pid 1 wrote that it was never told to go: the marker then says more than was done.
    pub(crate) fn never_began(&self) -> bool {
        matches!(self.left(), Ok(Some(Left::NeverBegan)))
    }

    /// Takes the marker of a start that never was away, before its record goes.
    pub(crate) fn unmark(&self) -> io::Result<()> {
        if self.started().is_some() && self.never_began() {
            std::fs::remove_file(self.common.started())?;
            sync_dir(self.path())?;
        }
        Ok(())
    }

    /// Writes the wish to stop, then tells our pid 1. One that is not there yet reads the wish before it is told to go.
    pub(crate) fn wish_stop(&self) -> io::Result<()> {
        if !self.common.stop().exists() {
            write_durably(self.path(), "stop", &serde_json::to_vec(&boot())?)?;
        }
        let halt = File::options()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(self.file("halt"));
        match halt {
            Ok(mut halt) => halt.write_all(b"s"),
            // No pipe yet, or nobody reads it any more.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENXIO)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// When the wish to stop was written, if it was.
    pub(crate) fn stop_wish(&self) -> Option<Duration> {
        let text = std::fs::read(self.common.stop()).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or_default())
    }

    pub(crate) fn length(path: &Path) -> u64 {
        std::fs::metadata(path).map_or(0, |meta| meta.len())
    }
}
