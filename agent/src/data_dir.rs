//! The agent's own directory: who may read it, who holds it, and who the agent is.

use std::{
    collections::BTreeSet,
    fs::{DirBuilder, File, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use node::clock;
use types::{AgentId, LeaseToken};

use crate::error::{AgentError, tried};

/// How long another may seem to hold the directory: a program that an agent was about to execute when it was killed has a copy
/// of its lock until then.
const LOCK_PATIENCE: Duration = Duration::from_millis(250);
/// Between two looks.
const LOCK_AGAIN: Duration = Duration::from_millis(10);

/// The directory, held by this process until it is dropped.
///
/// | path | what |
/// |---|---|
/// | `lock` | locked by the agent for its life |
/// | `agent-id` | made once: an agent that loses its disk is another agent |
/// | `spool` | leases, results, the dial counter, tombstones |
/// | `unrecorded` | attempts of which something lay there and nothing in the spool |
/// | `renewed` | when leases were renewed last; may be lost |
/// | `attempts/TOKEN/` | one attempt: the runtime's files and how much of its logs is acknowledged |
/// | `native/`, `docker/` | each runtime's own |
/// | `images/` | images of the native runtime; `firehall images` looks into it too |
/// | `runtime` | which of them runs the attempts that are there |
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens it, making what is missing.
    ///
    /// # Errors
    /// Another agent holds it, or it cannot be written.
    pub(crate) fn open(path: &Path) -> Result<Self, AgentError> {
        let shown = path.display();
        make_private(path).map_err(tried(format!("{shown}: cannot make the data directory")))?;
        let path = fs_err::canonicalize(path).map_err(tried("cannot find the data directory"))?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(tried(format!("{shown}: cannot open the lock file")))?;
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(AgentError::InUse(path)),
                Err(TryLockError::Error(error)) => {
                    return Err(tried("cannot lock the data directory")(error));
                }
            }
        }
        for sub in ["attempts", "native", "docker"] {
            make_private(&path.join(sub)).map_err(tried(format!("{shown}: cannot make {sub}")))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// Who this agent is; made and synced at the first call.
    ///
    /// # Errors
    /// The file cannot be written, or is not an id.
    pub(crate) fn agent_id(&self) -> Result<AgentId, AgentError> {
        let path = self.path.join("agent-id");
        match fs_err::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|error| {
                tried(format!("{}: not an agent's id", path.display()))(io::Error::other(error))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut entropy = [0; 10];
                getrandom::fill(&mut entropy)
                    .map_err(|error| tried("no randomness for an id")(io::Error::other(error)))?;
                let id = AgentId::new(clock::wall(), entropy);
                write_durably(&path, format!("{id}\n").as_bytes())
                    .map_err(tried("cannot write the agent's id"))?;
                Ok(id)
            }
            Err(error) => Err(tried("cannot read the agent's id")(error)),
        }
    }

    /// The journal.
    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// Bytes and files that its file system still has room for; as many as there may be where the system does not say.
    pub(crate) fn room(&self) -> (u64, u64) {
        let Ok(fs) = nix::sys::statvfs::statvfs(&self.path) else {
            return (u64::MAX, u64::MAX);
        };
        let files = if fs.files() > 0 {
            fs.files_available()
        } else {
            u64::MAX
        };
        (fs.blocks_available().saturating_mul(fs.fragment_size()), files)
    }

    /// Attempts that the spool did not know.
    pub(crate) fn unrecorded(&self) -> PathBuf {
        self.path.join("unrecorded")
    }

    /// When leases were renewed last.
    pub(crate) fn renewed(&self) -> PathBuf {
        self.path.join("renewed")
    }

    /// Where attempts live.
    pub(crate) fn attempts(&self) -> PathBuf {
        self.path.join("attempts")
    }

    /// Where one attempt lives.
    pub(crate) fn attempt(&self, token: &LeaseToken) -> PathBuf {
        self.attempts().join(token.as_str())
    }

    /// The attempts that have a directory; what is not named as a lease is not ours to judge.
    ///
    /// # Errors
    /// It cannot be looked for them.
    pub(crate) fn leases(&self) -> io::Result<BTreeSet<LeaseToken>> {
        let mut found = BTreeSet::new();
        for entry in fs_err::read_dir(self.attempts())? {
            let name = entry?.file_name();
            found.extend(name.to_str().and_then(|name| name.parse().ok()));
        }
        Ok(found)
    }

    /// The images of the native runtime.
    pub(crate) fn images(&self) -> PathBuf {
        self.path.join("images")
    }

    /// The docker runtime's own directory.
    pub(crate) fn docker(&self) -> PathBuf {
        self.path.join("docker")
    }

    /// Which runtime runs the attempts.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.path.join("runtime")
    }

    /// The native runtime's.
    pub(crate) fn native(&self) -> PathBuf {
        self.path.join("native")
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs_err::set_permissions(path, Permissions::from_mode(0o700))
}

/// A private file that appears whole or not at all, without a sync: good enough for what may be lost.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_new(path, bytes, false)
}

/// A private file that is there whole after a crash of the host.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_new(path, bytes, true)
}

fn write_new(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let tmp = path.with_extension("tmp");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&tmp)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_all()?;
    }
    fs_err::rename(&tmp, path)?;
    match path.parent() {
        Some(parent) if sync => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_second_agent_is_refused_and_the_id_stays() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("a/b");
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(
            fs_err::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert!(matches!(DataDir::open(&path), Err(AgentError::InUse(_))));
        let id = dir.agent_id().unwrap();
        drop(dir);
        assert_eq!(DataDir::open(&path).unwrap().agent_id().unwrap(), id);
    }
}
