//! The host's root again, without `/sys`, in a mount namespace that is not root's.
//!
//! What was mounted by somebody more powerful cannot be unmounted there (mount_namespaces(7)), so the cgroup mounts cannot
//! be hidden from libcontainer by themselves; see [`super::stage`].

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

/// It is not to be there, so its place is free.
const LEFT_OUT: &str = "sys";

/// Changes the root of this mount namespace, whose mounts are private already.
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
    // Where libcontainer looks for cgroups.
    fs::create_dir_all(new.join("sys/fs/cgroup"))?;
    chdir(&new)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(chdir("/")?)
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
