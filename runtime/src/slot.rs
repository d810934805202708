//! Whom a step's users are on the host: a range of ids for each running step, so that no two steps share one; without
//! root the agent's own user.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::HostIds;

/// First id of the first slot. 1879048192 to 2147352575 is the range that systemd's allocation of the id space leaves
/// unassigned (systemd, UIDS-GIDS.md).
const BASE: u32 = 1_879_048_192;
/// Ids of a slot.
pub(crate) const SIZE: u32 = 65_536;
/// Steps at once on a host.
const SLOTS: u32 = 2_048;
/// One empty file for the whole host: its byte N is locked by who has slot N. On a tmpfs, gone at the next boot.
const REGISTRY: &str = "/run/firehall.uids";

/// A slot; held until the last copy of its descriptor is closed, by a crash too.
#[derive(Debug)]
pub(crate) struct Slot {
    _registry: File,
    /// First host id.
    pub base: u32,
}

impl Slot {
    /// Which of the host's slots it is, from 0.
    pub(crate) fn number(&self) -> u32 {
        (self.base - BASE) / SIZE
    }
}

/// Whom a step's users are on the host.
#[derive(Debug)]
pub(crate) enum Ids {
    /// A range of its own.
    Slot(Slot),
    /// The agent's own user, whatever the step calls it.
    Own {
        /// The host's number of it.
        uid: u32,
    },
}

impl Ids {
    /// As this process may take them: a range is for root to give.
    pub(crate) fn take() -> io::Result<Self> {
        let user = nix::unistd::geteuid();
        if user.is_root() {
            take().map(Self::Slot)
        } else {
            Ok(Self::Own { uid: user.as_raw() })
        }
    }

    /// Who owns what a user of the step is to own, in ids of the shim.
    pub(crate) const fn owner(&self, id: u32) -> u32 {
        match self {
            Self::Slot(slot) => slot.base + id,
            Self::Own { .. } => 0,
        }
    }

    /// Whose they are.
    pub(crate) const fn kind(&self) -> HostIds {
        match self {
            Self::Slot(_) => HostIds::Range,
            Self::Own { .. } => HostIds::Agent,
        }
    }

    /// The first host id that belongs to the step.
    pub(crate) const fn first(&self) -> u32 {
        match self {
            Self::Slot(slot) => slot.base,
            Self::Own { uid } => *uid,
        }
    }
}

/// Takes the first free slot.
fn take() -> io::Result<Slot> {
    let registry = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(REGISTRY)
        .map_err(|error| io::Error::new(error.kind(), format!("{REGISTRY}: {error}")))?;
    for slot in 0..SLOTS {
        let lock = libc::flock {
            l_type: libc::F_WRLCK as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: i64::from(slot),
            l_len: 1,
            l_pid: 0,
        };
        match fcntl(&registry, FcntlArg::F_OFD_SETLK(&lock)) {
            Ok(_) => {
                return Ok(Slot {
                    _registry: registry,
                    base: BASE + slot * SIZE,
                });
            }
            Err(Errno::EAGAIN | Errno::EACCES) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other(format!(
        "all {SLOTS} user id ranges of this host are in use"
    )))
}
