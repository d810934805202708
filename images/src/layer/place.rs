//! Entries onto the disk, below one directory and nowhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags, chownat,
    fchmod, fsetxattr, linkat, makedev, mkdirat, mknodat, openat, openat2, statat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;

use super::LayerError;
use super::entry::{Entry, Kind, names, refused, shown};

/// A name that hides its namesake in the layers below (OCI image-spec, layer.md, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";
/// Hides all that the layers below have in this directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other names of the first implementation (aufs), which mean nothing.
const AUFS: &[u8] = b".wh..wh.";
/// Ids of a step's user namespace; beyond them a file is nobody's.
const ID_MAX: u64 = 65_535;
const NOBODY: u32 = 65_534;
/// How often a path is looked up again, as libpathrs does.
const TRIES: usize = 128;
/// What is remembered of directories' paths, in bytes; the times of those beyond are the time of unpacking.
const DIRS_BYTES: usize = 32 * 1024 * 1024;

/// A layer's directory while it is filled.
pub(super) struct Place {
    root: OwnedFd,
    /// Whether files get the owners that the archive says: for root only.
    owned: bool,
    /// Directories with the times that they get at the end, since each new entry changes them.
    dirs: Vec<(Vec<u8>, i64)>,
    /// Bytes of their paths; see [`DIRS_BYTES`].
    dirs_bytes: usize,
    /// Directories made since they were last asked for, which no entry brought.
    implied: u64,
}

impl Place {
    pub(super) fn new(root: OwnedFd, owned: bool) -> Self {
        Self {
            root,
            owned,
            dirs: Vec::new(),
            dirs_bytes: 0,
            implied: 0,
        }
    }

    /// Puts one entry where it belongs; a later one takes the place of an earlier one.
    pub(super) fn put(&mut self, entry: &Entry, content: &mut impl Read) -> Result<(), LayerError> {
        let names = names(&entry.path)?;
        let Some((name, parents)) = names.split_last() else {
            // The root itself: it is ours, and passable.
            return Ok(());
        };
        let failed = |cause: io::Error| LayerError::Write {
            path: shown(&entry.path),
            cause,
        };
        let parent = self.parent(parents).map_err(failed)?;
        if *name == OPAQUE {
            return opaque(&parent).map_err(failed);
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(refused(&entry.path, "hides nothing that could be there"));
            }
            return whiteout(&parent, hidden).map_err(failed);
        }
        match &entry.kind {
            Kind::Device => Ok(()),
            Kind::Dir => self.dir(&parent, name, entry).map_err(failed),
            Kind::File { size } => self.file(&parent, name, entry, *size, content),
            Kind::Symlink { target } => self.symlink(&parent, name, entry, target).map_err(failed),
            Kind::Hardlink { target } => self.hardlink(&parent, name, entry, target),
            Kind::Fifo => {
                clear(&parent, name).map_err(failed)?;
                mknodat(&parent, *name, FileType::Fifo, Mode::from_raw_mode(0o666), 0)
                    .map_err(|error| failed(error.into()))?;
                self.own(&parent, name, entry).map_err(failed)
            }
        }
    }

    /// How many directories the last entries took that the archive does not bring: one path may name thousands.
    pub(super) fn take_implied(&mut self) -> u64 {
        std::mem::take(&mut self.implied)
    }

    /// Gives the directories their times and makes everything durable.
    pub(super) fn finish(self) -> Result<(), LayerError> {
        for (path, mtime) in self.dirs.iter().rev() {
            let failed = |cause: Errno| LayerError::Write {
                path: shown(path),
                cause: cause.into(),
            };
            // One that a later entry replaced is gone or something else: its time is not ours to set.
            match self.below(path.as_slice()) {
                Ok(dir) => rustix::fs::futimens(&dir, &times(*mtime)).map_err(failed)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        rustix::fs::syncfs(&self.root).map_err(|cause| LayerError::Write {
            path: ".".to_owned(),
            cause: cause.into(),
        })
    }

    /// A directory below the root. While something is mounted or moved anywhere on the host, the kernel may not be able to say that
    /// a path stays there: then it is to be asked again (openat2(2), EAGAIN).
    fn below(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut tries = 0..TRIES;
        loop {
            match openat2(&self.root, path, DIR, Mode::empty(), BENEATH) {
                Err(Errno::AGAIN) if tries.next().is_some() => std::thread::yield_now(),
                other => return other,
            }
        }
    }

    /// The directory of an entry, made where the archive does not bring it. Links on the way are followed within the
    /// layer, as if its directory were `/`.
    fn parent(&mut self, names: &[&[u8]]) -> io::Result<OwnedFd> {
        let whole = names.join(&b'/');
        let path = if whole.is_empty() { b".".to_vec() } else { whole };
        match self.below(path.as_slice()) {
            Ok(dir) => return Ok(dir),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut so_far = Vec::new();
        let mut dir = self.below(b".")?;
        for name in names {
            so_far.extend_from_slice(name);
            match self.below(&so_far) {
                Ok(next) => dir = next,
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    make_dir(&dir, name)?;
                    self.implied += 1;
                    dir = openat(&dir, *name, DIR | OFlags::NOFOLLOW, Mode::empty())?;
                }
                Err(error) => return Err(error.into()),
            }
            so_far.push(b'/');
        }
        Ok(dir)
    }

    fn dir(&mut self, parent: &OwnedFd, name: &[u8], entry: &Entry) -> io::Result<()> {
        make_dir(parent, name)?;
        let dir = openat(parent, name, DIR | OFlags::NOFOLLOW, Mode::empty())?;
        // Sticky stays: it is what keeps users of a shared directory apart.
        let mode = (entry.mode & 0o1777) | 0o755;
        fchmod(&dir, Mode::from_raw_mode(mode))?;
        self.own(parent, name, entry)?;
        self.dirs_bytes += entry.path.len();
        if self.dirs_bytes <= DIRS_BYTES {
            self.dirs.push((entry.path.clone(), entry.mtime));
        }
        Ok(())
    }

    fn file(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        entry: &Entry,
        size: u64,
        content: &mut impl Read,
    ) -> Result<(), LayerError> {
        let failed = |cause: io::Error| LayerError::Write {
            path: shown(&entry.path),
            cause,
        };
        clear(parent, name).map_err(failed)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            openat(parent, name, flags, Mode::from_raw_mode(0o600)).map_err(|error| failed(error.into()))?;
        let mut file = File::from(file);
        let copied = io::copy(&mut content.take(size), &mut file).map_err(|cause| match cause.kind() {
            io::ErrorKind::FileTooLarge => LayerError::TooLarge("bytes"),
            io::ErrorKind::UnexpectedEof => LayerError::Read(cause),
            _ => failed(cause),
        })?;
        if copied != size {
            return Err(LayerError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        self.own(parent, name, entry).map_err(failed)?;
        let finish = || -> io::Result<()> {
            // Neither set-user-id nor set-group-id nor sticky; what its owner may execute everybody may.
            let execute = if entry.mode & 0o111 == 0 { 0 } else { 0o111 };
            fchmod(&file, Mode::from_raw_mode((entry.mode & 0o777) | 0o444 | execute))?;
            Ok(rustix::fs::futimens(&file, &times(entry.mtime))?)
        };
        finish().map_err(failed)
    }

    fn symlink(&self, parent: &OwnedFd, name: &[u8], entry: &Entry, target: &[u8]) -> io::Result<()> {
        clear(parent, name)?;
        symlinkat(target, parent, name)?;
        self.own(parent, name, entry)?;
        Ok(utimensat(
            parent,
            name,
            &times(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// A second name for a file of the same layer. Its directory is found within the layer, and the name itself is not
    /// followed: a link to a link is a second name for the link.
    fn hardlink(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        entry: &Entry,
        target: &[u8],
    ) -> Result<(), LayerError> {
        let inside = target.strip_prefix(b"/").unwrap_or(target);
        let steps = names(inside)?;
        let missing = || {
            refused(
                &entry.path,
                format!("is a link to {:?}, which its layer does not have", shown(target)),
            )
        };
        let Some((file, dirs)) = steps.split_last() else {
            return Err(missing());
        };
        let dirs = if dirs.is_empty() {
            b".".to_vec()
        } else {
            dirs.join(&b'/')
        };
        let failed = |cause: Errno| match cause {
            Errno::NOENT | Errno::NOTDIR | Errno::PERM => missing(),
            cause => LayerError::Write {
                path: shown(&entry.path),
                cause: cause.into(),
            },
        };
        let from = self.below(&dirs).map_err(failed)?;
        let found = statat(&from, *file, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(found.st_mode).is_char_device() {
            // One of our whiteouts.
            return Err(missing());
        }
        match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(same) if (same.st_dev, same.st_ino) == (found.st_dev, found.st_ino) => return Ok(()),
            _ => {}
        }
        clear(parent, name).map_err(|cause| LayerError::Write {
            path: shown(&entry.path),
            cause,
        })?;
        linkat(&from, *file, parent, name, AtFlags::empty()).map_err(failed)
    }

    fn own(&self, parent: &OwnedFd, name: &[u8], entry: &Entry) -> io::Result<()> {
        if !self.owned {
            return Ok(());
        }
        let id = |id: u64| {
            if id > ID_MAX {
                NOBODY
            } else {
                u32::try_from(id).unwrap_or(NOBODY)
            }
        };
        let owner = Some(Uid::from_raw(id(entry.uid)));
        let group = Some(Gid::from_raw(id(entry.gid)));
        Ok(chownat(parent, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const BENEATH: ResolveFlags = ResolveFlags::IN_ROOT
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

fn times(mtime: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn kind_of(parent: &OwnedFd, name: &[u8]) -> io::Result<Option<FileType>> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes a directory or keeps the one that is there. One that takes the place of something the layers below have hides
/// all of it.
fn make_dir(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let before = kind_of(parent, name)?;
    if before == Some(FileType::Directory) {
        return Ok(());
    }
    clear(parent, name)?;
    mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    if before == Some(FileType::CharacterDevice) {
        let dir = openat(parent, name, DIR | OFlags::NOFOLLOW, Mode::empty())?;
        opaque(&dir)?;
    }
    Ok(())
}

/// Overlayfs takes a directory with this attribute as the last one (`userxattr`).
fn opaque(dir: &OwnedFd) -> io::Result<()> {
    Ok(fsetxattr(dir, "user.overlay.opaque", b"y", XattrFlags::empty())?)
}

/// Overlayfs takes a character device 0/0 as "not here". What this layer itself has under the name stays: a whiteout
/// speaks of the layers below only.
fn whiteout(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match kind_of(parent, name)? {
        Some(FileType::Directory) => opaque(&openat(parent, name, DIR | OFlags::NOFOLLOW, Mode::empty())?),
        Some(_) => Ok(()),
        None => Ok(mknodat(
            parent,
            name,
            FileType::CharacterDevice,
            Mode::empty(),
            makedev(0, 0),
        )?),
    }
}

/// Takes away what stands in an entry's place.
fn clear(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match kind_of(parent, name)? {
        None => Ok(()),
        Some(FileType::Directory) => {
            let dir = openat(parent, name, DIR | OFlags::NOFOLLOW, Mode::empty())?;
            empty(dir.as_fd())?;
            Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
        }
        Some(_) => Ok(unlinkat(parent, name, AtFlags::empty())?),
    }
}

/// Removes all below a directory. By path: the descriptor's own, so that nothing above it matters.
fn empty(dir: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            // Does not follow links (std, since 1.58.1).
            std::fs::remove_dir_all(entry.path())?;
        } else {
            let name: &OsStr = &entry.file_name();
            unlinkat(dir, name.as_bytes(), AtFlags::empty())?;
        }
    }
    Ok(())
}
