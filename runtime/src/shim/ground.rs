//! What a shim stands on: a root of its own mount namespace in place of the host's.
//!
//! libcontainer is to find no cgroups there, and as little else as can be: it reads the table of mounts a dozen times for each
//! container, and on a host with other people's containers that has hundreds of lines.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use crate::skeleton::USR_LINKS;

/// It is not to be there, so its place is free.
const LEFT_OUT: &str = "sys";

/// Where libcontainer looks for cgroups. A directory in memory without any is a system of version 1 without controllers to it.
const CGROUPS: &str = "sys/fs/cgroup";
/// What libcontainer binds into a container's `/dev`.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Makes the directory `new`, a mount of its own, the root: with what it holds, the host's `/proc` and `/dev`, and where `usr` its
/// programs and libraries. False, and only more lies in `new`, where this host's root cannot be changed: it is that of an initial
/// RAM file system.
///
/// What is open stays so, and can be read and written; nothing of it can be bound any more.
pub(super) fn leave(new: &Path, usr: bool) -> io::Result<bool> {
    bind(Path::new("/proc"), &new.join("proc"), MsFlags::empty())?;
    let dev = new.join("dev");
    bind(Path::new("/dev"), &dev, MsFlags::empty())?;
    let is_device =
        |name: &&str| fs::metadata(dev.join(name)).is_ok_and(|found| found.file_type().is_char_device());
    if !DEVICES.iter().all(|name| is_device(&name)) {
        // In a container each of them may be a mount by itself.
        bind(Path::new("/dev"), &dev, MsFlags::MS_REC)?;
    }
    if usr {
        bind(Path::new("/usr"), &new.join("usr"), MsFlags::MS_REC)?;
        for name in USR_LINKS {
            let host = Path::new("/").join(name);
            if fs::symlink_metadata(&host).is_ok_and(|found| found.is_dir()) {
                bind(&host, &new.join(name), MsFlags::MS_REC)?;
            }
        }
    }
    fs::create_dir_all(new.join(CGROUPS))?;
    match change_to(new) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
        Err(error) => Err(error),
    }
}

fn bind(from: &Path, to: &Path, more: MsFlags) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let flags = MsFlags::MS_BIND | more;
    Ok(mount(Some(from), to, None::<&str>, flags, None::<&str>)?)
}

fn change_to(new: &Path) -> io::Result<()> {
    chdir(new)?;
    if let Err(error) = pivot_root(".", ".") {
        chdir("/")?;
        return Err(error.into());
    }
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(chdir("/")?)
}

/// The host's root again, without `/sys`, in a mount namespace that is not root's and whose mounts are private already: what was
/// mounted by somebody more powerful cannot be unmounted there (mount_namespaces(7)), so the cgroup mounts cannot be hidden by
/// themselves.
pub(super) fn lay() -> io::Result<()> {
    let new = Path::new("/").join(LEFT_OUT);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        &new,
        Some("tmpfs"),
        flags,
        Some("mode=0755,size=1m,nr_inodes=1024"),
    )?;
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        if entry.file_name() == LEFT_OUT {
            continue;
        }
        if let Err(error) = bring(&entry, &new.join(entry.file_name())) {
            // What is needed of it is missed where it is needed.
            eprintln!("firehall shim: {} is left out: {error}", entry.path().display());
        }
    }
    fs::create_dir_all(new.join(CGROUPS))?;
    change_to(&new)
}

fn bring(entry: &fs::DirEntry, to: &Path) -> io::Result<()> {
    let kind = entry.file_type()?;
    if kind.is_symlink() {
        return symlink(fs::read_link(entry.path())?, to);
    }
    if kind.is_dir() {
        fs::create_dir(to)?;
    } else {
        fs::File::create(to)?;
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(&entry.path()), to, None::<&str>, flags, None::<&str>)?)
}
