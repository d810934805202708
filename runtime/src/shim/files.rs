//! The step's files: each bound read-only at its path, from the attempt's directory, which the container never sees.
//!
//! What a step may not write to is bound here, below the root that libcontainer takes; what lies in a memory file system
//! of the container (`/tmp`) is bound by libcontainer, once that is there.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, ResolveFlag};
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::inside;
use super::setup::Shim;
use super::stage::make_dir;
use crate::{AttemptDir, SpecFile};

/// Where the container has a memory file system of its own, on which we cannot bind before it is there.
const OWN: &str = "/tmp/";

/// The step's files, opened.
pub(super) struct Files {
    /// With where each lies inside.
    open: Vec<(SpecFile, File)>,
}

impl Files {
    /// In the shim's own mount namespace (what another has mounted cannot be bound), and before the stage covers a path.
    pub(super) fn open(shim: &Shim) -> io::Result<Self> {
        // By its path: the descriptor that the shim holds is of the namespace that it has left.
        let dir = AttemptDir::new(&shim.path);
        let open = |(n, file): (usize, &SpecFile)| {
            let path = dir.file(n);
            let found = fs_err::File::open(path)?.into_file();
            if found.metadata()?.is_file() {
                Ok((file.clone(), found))
            } else {
                Err(io::Error::other(format!(
                    "what is to be {} is no file",
                    file.path
                )))
            }
        };
        Ok(Self {
            open: shim
                .spec
                .files
                .iter()
                .enumerate()
                .map(open)
                .collect::<io::Result<_>>()?,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Gives them to the step's user.
    pub(super) fn give(&self, user: u32, group: u32) -> io::Result<()> {
        for (file, open) in &self.open {
            open.set_permissions(PermissionsExt::from_mode(file.mode))?;
            fchown(open, Some(user), Some(group))?;
        }
        Ok(())
    }

    fn rooted(&self) -> impl Iterator<Item = &(SpecFile, File)> {
        self.open.iter().filter(|(file, _)| !file.path.starts_with(OWN))
    }

    /// Places that the root does not have yet, made in the layer above it: what stands there in the image is covered.
    ///
    /// # Errors
    /// A path leads through a link or over a directory of the image, or the layer cannot be written.
    pub(super) fn make_places(&self, root: &File, top: &Path) -> io::Result<bool> {
        let mut made = false;
        for (file, _) in self.rooted() {
            if !is_there(root, &file.path)? {
                make_place(root, top, &file.path)?;
                made = true;
            }
        }
        Ok(made)
    }

    /// Binds those that lie in the root, which is at `at`.
    pub(super) fn bind(&self, at: &Path) -> io::Result<()> {
        for (file, open) in self.rooted() {
            // Looked at before: no part of it is a link, and nobody can write there.
            let inside = at.join(file.path.trim_start_matches('/'));
            let told = |error: nix::Error| {
                io::Error::new(
                    io::Error::from(error).kind(),
                    format!("{}: {}", file.path, error.desc()),
                )
            };
            let source = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
            mount(
                Some(&source),
                &inside,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )
            .map_err(told)?;
            let mut flags = MsFlags::MS_REMOUNT
                | MsFlags::MS_BIND
                | MsFlags::MS_RDONLY
                | MsFlags::MS_NOSUID
                | MsFlags::MS_NODEV;
            // Without root it may not be taken off (mount_namespaces(7), locked flags).
            if statvfs(&inside)
                .map_err(told)?
                .flags()
                .contains(FsFlags::ST_NOEXEC)
            {
                flags |= MsFlags::MS_NOEXEC;
            }
            mount(None::<&str>, &inside, None::<&str>, flags, None::<&str>).map_err(told)?;
        }
        Ok(())
    }

    /// Those that libcontainer binds, staged in `dir`, with their paths inside.
    pub(super) fn stage(&self, dir: &Path) -> io::Result<Vec<(PathBuf, String)>> {
        let mut staged = Vec::new();
        for (n, (file, open)) in self.open.iter().enumerate() {
            if !file.path.starts_with(OWN) {
                continue;
            }
            let at = dir.join(n.to_string());
            File::create(&at)?;
            let source = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
            mount(Some(&source), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            staged.push((at, file.path.clone()));
        }
        Ok(staged)
    }
}

/// Whether a file lies there that can be bound over.
fn is_there(root: &File, path: &str) -> io::Result<bool> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    let wrong = |what: &str| io::Error::other(format!("{path} {what}: write another path in `files`"));
    match inside::open(root, path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS) {
        Ok(found) => {
            let kind = File::from(found).metadata()?.file_type();
            if kind.is_dir() {
                return Err(wrong("is a directory in the image"));
            }
            Ok(kind.is_file())
        }
        Err(nix::Error::ENOENT) => Ok(false),
        Err(nix::Error::ENOTDIR) => Err(wrong("leads through a file of the image")),
        Err(nix::Error::ELOOP) => Err(wrong("leads through a link of the image")),
        Err(error) => Err(error.into()),
    }
}

/// An empty file in the upper layer; its directories have the permissions that they have in the image.
fn make_place(root: &File, top: &Path, path: &str) -> io::Result<()> {
    let mut so_far = String::new();
    let mut names: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let last = names.pop().unwrap_or_default();
    for name in names {
        so_far.push('/');
        so_far.push_str(name);
        let mode = match inside::open(root, &so_far, OFlag::O_PATH, ResolveFlag::RESOLVE_NO_SYMLINKS) {
            Ok(found) => File::from(found).metadata()?.permissions().mode() & 0o7777,
            Err(nix::Error::ENOENT) => 0o755,
            Err(error) => return Err(error.into()),
        };
        make_dir(&top.join(so_far.trim_start_matches('/')), mode)?;
    }
    File::create(top.join(so_far.trim_start_matches('/')).join(last)).map(drop)
}
