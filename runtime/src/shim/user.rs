//! User namespaces that a shim makes for itself when it is not root: nobody has to help with them, and exactly one user
//! of the host is in them, the agent's own.
//!
//! The shim and libcontainer work in the first one, as its root. Pid 1 of the step then makes a second one, in which the
//! same user has the number that the step asked for, and gives up all power over it.

use std::fs;
use std::io;

use caps::CapSet;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{getegid, geteuid};

use crate::Who;

/// Moves the shim into a user and a mount namespace of its own, where it is root.
pub(super) fn become_root() -> io::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("a user namespace: {error}"));
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(|error| failed(error.into()))?;
    map((0, uid), (0, gid)).map_err(failed)
}

/// In pid 1, as the first namespace's root: becomes the step's user, without any capability over the new namespace.
pub(super) fn become_step(who: &Who) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    map((who.uid, 0), (who.gid, 0))?;
    for set in [
        CapSet::Ambient,
        CapSet::Bounding,
        CapSet::Effective,
        CapSet::Permitted,
        CapSet::Inheritable,
    ] {
        caps::clear(None, set).map_err(io::Error::other)?;
    }
    Ok(())
}

/// One user and one group, each as inside and outside (user_namespaces(7)).
fn map(user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    // These files belong to root while the process is undumpable.
    prctl::set_dumpable(true)?;
    let write = |name: &str, text: String| {
        fs::write(format!("/proc/self/{name}"), text)
            .map_err(|error| io::Error::new(error.kind(), format!("/proc/self/{name}: {error}")))
    };
    let done = write("setgroups", "deny".to_owned())
        .and_then(|()| write("uid_map", format!("{} {} 1", user.0, user.1)))
        .and_then(|()| write("gid_map", format!("{} {} 1", group.0, group.1)));
    prctl::set_dumpable(false)?;
    done
}
