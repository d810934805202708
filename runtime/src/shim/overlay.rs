//! The root of a container from an image: its layers over each other, and on top a layer of ours that has every place
//! where something is mounted.
//!
//! There is no upper layer: nothing is written, nothing has to be cleaned up. Because our layer is on top, a link that an
//! image has in the place of `/proc`, `/dev` or `/etc` leads no mount anywhere: there is a directory instead.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, ResolveFlag};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::files::Files;
use super::inside;
use super::stage::make_dir;
use crate::Rootfs;

/// Every place that something is mounted on; see [`super::oci`].
const PLACES: &[&str] = &[
    "dev",
    "etc",
    "host/proc",
    "host/sys",
    "proc",
    "run/firehall",
    "run/secrets",
    "sys",
    "tmp",
];
const HOSTNAME: &str = "step\n";
/// The most that is read of a file of the image.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// An image's layers, opened in this mount namespace, and locked.
pub(super) struct Layers {
    layers: Vec<OwnedFd>,
    _hold: File,
}

impl Layers {
    /// Before the stage can cover a layer's path.
    pub(super) fn open(rootfs: &Rootfs) -> io::Result<Self> {
        let hold = fs_err::File::open(&rootfs.hold)?.into_file();
        hold.lock_shared()?;
        if hold.metadata()?.nlink() == 0 {
            return Err(io::Error::other(
                "the image was removed from this host in this moment; try again",
            ));
        }
        let open = |path: &PathBuf| Ok(OwnedFd::from(fs_err::File::open(path)?.into_file()));
        Ok(Self {
            layers: rootfs.layers.iter().map(open).collect::<io::Result<_>>()?,
            _hold: hold,
        })
    }

    /// Lays them at `at`. `top` becomes our layer, with these files in `/etc` and places for the
    /// step's own. A working directory that the image does not have is made, as other runtimes do.
    pub(super) fn lay(
        &self,
        top: &Path,
        at: &Path,
        etc: &[(&str, Vec<u8>)],
        workdir: &str,
        files: &Files,
    ) -> io::Result<File> {
        for place in PLACES {
            // Each of them by itself: `make_dir` sets the mode of the last one.
            let mut path = top.to_path_buf();
            for name in place.split('/') {
                path.push(name);
                make_dir(&path, 0o755)?;
            }
        }
        for (name, bytes) in etc
            .iter()
            .map(|(name, bytes)| (*name, bytes.as_slice()))
            .chain([("hostname", HOSTNAME.as_bytes())])
        {
            std::fs::write(top.join("etc").join(name), bytes)?;
        }
        self.mount(top, at)?;
        let root = fs_err::File::open(at)?.into_file();
        let mut more = files.make_places(&root, top)?;
        match open_in(&root, workdir, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut path = top.to_path_buf();
                for name in workdir
                    .split('/')
                    .filter(|name| !matches!(*name, "" | "." | ".."))
                {
                    path.push(name);
                    make_dir(&path, 0o755)?;
                }
                more = true;
            }
            // Anything else shows when it is entered.
            _ => {}
        }
        if !more {
            return Ok(root);
        }
        drop(root);
        umount2(at, MntFlags::empty())?;
        self.mount(top, at)?;
        Ok(fs_err::File::open(at)?.into_file())
    }

    fn mount(&self, top: &Path, at: &Path) -> io::Result<()> {
        // overlayfs takes the uppermost first.
        let layers = self.layers.iter().rev().map(AsFd::as_fd);
        mount_over(top, layers, at)
    }
}

/// Lays a root without layers of its own, with what `top` has above it, at `at`.
pub(super) fn lay_over(root: &File, top: &Path, at: &Path) -> io::Result<()> {
    mount_over(top, std::iter::once(root.as_fd()), at)
}

fn mount_over<'a>(top: &Path, below: impl Iterator<Item = BorrowedFd<'a>>, at: &Path) -> io::Result<()> {
    let mut lower = top.to_string_lossy().into_owned();
    for layer in below {
        lower.push_str(&format!(":/proc/self/fd/{}", layer.as_raw_fd()));
    }
    let options = format!("lowerdir={lower},userxattr");
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("overlay"),
        at,
        Some("overlay"),
        flags,
        Some(options.as_str()),
    )
    .map_err(|error| {
        io::Error::new(
            io::Error::from(error).kind(),
            format!("overlayfs of the image's layers: {}", error.desc()),
        )
    })
}

/// Opens a path of the image as the step would see it: links lead no further than its root.
fn open_in(root: &File, path: &str, flags: OFlag) -> io::Result<File> {
    let path = if path.is_empty() { "." } else { path };
    let opened = inside::open(root, path, flags, ResolveFlag::RESOLVE_NO_MAGICLINKS)?;
    Ok(File::from(opened))
}

/// A text file of the image; empty when there is none.
pub(super) fn read_in(root: &File, path: &str) -> io::Result<String> {
    let file = match open_in(root, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{path} of the image is not a file")));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
