//! What a step leaves in its `/tmp`, copied once nothing of it runs any more. Nothing is followed and nothing but regular
//! files and directories is read: the step chose what lies there, and we may read more than it does.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use sha2::{Digest, Sha256};
use types::{ARTIFACT_TREE, limits};

use crate::{ArtifactEnd, ArtifactRecord, SpecArtifact};

/// How deep directories may lie in each other.
const DEPTH: usize = 64;

/// Why something is not kept.
enum Not {
    Missing,
    Refused(String),
}

impl From<io::Error> for Not {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Errno> for Not {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// Copies what was to be kept from the step's `/tmp`, which is `tree`, to the end of `out`; all of it together has at most
/// `limit` bytes. Something that cannot be kept leaves nothing behind in `out`.
#[must_use]
pub fn collect(tree: &File, wanted: &[SpecArtifact], limit: u64, out: &mut File) -> Vec<ArtifactRecord> {
    let mut room = limit;
    let mut records = Vec::with_capacity(wanted.len());
    for artifact in wanted {
        let end = match one(tree, artifact, room, limit, out) {
            Ok(end) => end,
            Err(Not::Missing) => ArtifactEnd::Missing,
            Err(Not::Refused(why)) => ArtifactEnd::Refused { why },
        };
        if let ArtifactEnd::Kept { bytes, .. } = &end {
            room -= bytes;
        }
        records.push(ArtifactRecord {
            name: artifact.name.clone(),
            end,
        });
    }
    records
}

/// What becomes of all of them when there is nowhere to copy them to.
#[must_use]
pub fn refuse_all(wanted: &[SpecArtifact], error: &io::Error) -> Vec<ArtifactRecord> {
    let refused = |artifact: &SpecArtifact| ArtifactRecord {
        name: artifact.name.clone(),
        end: ArtifactEnd::Refused {
            why: error.to_string(),
        },
    };
    wanted.iter().map(refused).collect()
}

fn one(
    tree: &File,
    artifact: &SpecArtifact,
    room: u64,
    limit: u64,
    out: &mut File,
) -> Result<ArtifactEnd, Not> {
    let found = find(tree, &artifact.path)?;
    let offset = out.stream_position()?;
    let mut sink = Sink {
        out,
        hash: Sha256::new(),
        bytes: 0,
        room,
        limit,
    };
    let copied = match &found {
        Found::File(file) => copy(file, &mut sink),
        Found::Directory(dir) => pack(dir, &mut sink),
    };
    let (bytes, digest) = (sink.bytes, sink.hash.finalize());
    match copied.and_then(|()| Ok(out.sync_data()?)) {
        Ok(()) => Ok(ArtifactEnd::Kept {
            offset,
            bytes,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            is_directory: matches!(found, Found::Directory(_)),
        }),
        Err(not) => {
            out.set_len(offset)?;
            out.seek(io::SeekFrom::Start(offset))?;
            Err(not)
        }
    }
}

enum Found {
    File(File),
    Directory(File),
}

/// Opens what lies there, a directory after the other, none of them by a link.
fn find(tree: &File, path: &str) -> Result<Found, Not> {
    let below = path.strip_prefix(ARTIFACT_TREE).unwrap_or(path);
    let mut at = tree.try_clone()?;
    let mut names = below.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            return open(&at, Path::new(name), path);
        }
        at = match directory(&at, Path::new(name)) {
            Ok(dir) => dir,
            Err(Errno::ENOENT) => return Err(Not::Missing),
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                return Err(Not::Refused(format!(
                    "{path} leads through {name}, which is no directory"
                )));
            }
            Err(errno) => return Err(errno.into()),
        };
    }
    Err(Not::Missing)
}

fn directory(at: &File, name: &Path) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(at, name, flags, Mode::empty()).map(File::from)
}

/// Looks first and opens then: opening a device or a FIFO can do something.
fn open(at: &File, name: &Path, shown: &str) -> Result<Found, Not> {
    let look = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let seen: OwnedFd = match openat(at, name, look, Mode::empty()) {
        Ok(seen) => seen,
        Err(Errno::ENOENT) => return Err(Not::Missing),
        Err(errno) => return Err(errno.into()),
    };
    let kind = File::from(seen).metadata()?.file_type();
    if kind.is_dir() {
        return Ok(Found::Directory(directory(at, name)?));
    }
    if !kind.is_file() {
        let what = if kind.is_symlink() {
            "a link"
        } else {
            "no regular file"
        };
        return Err(Not::Refused(format!(
            "{shown} is {what}: files and directories are kept"
        )));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(at, name, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(Found::File(file))
    } else {
        Err(Not::Refused(format!("{shown} changed while it was looked at")))
    }
}

fn copy(mut file: &File, sink: &mut Sink<'_>) -> Result<(), Not> {
    // A file with holes may be far larger than what it takes.
    let length = file.metadata()?.len();
    if length > sink.room {
        return Err(sink.too_large(length));
    }
    let copied = io::copy(&mut Read::take(&mut file, length), sink)?;
    if copied == length {
        Ok(())
    } else {
        Err(Not::Refused(format!(
            "it has {copied} bytes and said that it has {length}"
        )))
    }
}

/// A tar archive: names in order, no owners.
fn pack(dir: &File, sink: &mut Sink<'_>) -> Result<(), Not> {
    let mut archive = tar::Builder::new(sink);
    let mut entries = 0;
    pack_below(&mut archive, dir, Path::new(""), 0, &mut entries)?;
    archive.into_inner()?;
    Ok(())
}

fn pack_below(
    archive: &mut tar::Builder<&mut Sink<'_>>,
    dir: &File,
    inside: &Path,
    depth: usize,
    entries: &mut usize,
) -> Result<(), Not> {
    if depth > DEPTH {
        return Err(Not::Refused(format!(
            "directories lie in each other more than {DEPTH} deep"
        )));
    }
    for name in names(dir, entries)? {
        let path = inside.join(&name);
        let found = match open(dir, &name, &path.display().to_string()) {
            Err(Not::Missing) => continue,
            found => found?,
        };
        match found {
            Found::Directory(below) => {
                let mut header = header(&below, tar::EntryType::Directory, 0)?;
                archive.append_data(&mut header, &path, io::empty())?;
                pack_below(archive, &below, &path, depth + 1, entries)?;
            }
            Found::File(file) => {
                let length = file.metadata()?.len();
                let sink = archive.get_ref();
                if length > sink.room.saturating_sub(sink.bytes) {
                    return Err(sink.too_large(sink.bytes.saturating_add(length)));
                }
                let mut header = header(&file, tar::EntryType::Regular, length)?;
                archive.append_data(&mut header, &path, Read::take(&file, length))?;
            }
        }
    }
    Ok(())
}

fn names(dir: &File, entries: &mut usize) -> Result<Vec<PathBuf>, Not> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))? {
        *entries += 1;
        if *entries > limits::ARTIFACT_ENTRIES {
            let most = limits::ARTIFACT_ENTRIES;
            return Err(Not::Refused(format!(
                "it holds more than {most} files and directories"
            )));
        }
        names.push(PathBuf::from(entry?.file_name()));
    }
    names.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(names)
}

fn header(file: &File, kind: tar::EntryType, length: u64) -> io::Result<tar::Header> {
    let meta = file.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(length);
    header.set_mode(meta.mode() & 0o755);
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    Ok(header)
}

/// Counts, sums and bounds what goes out.
struct Sink<'a> {
    out: &'a mut File,
    hash: Sha256,
    bytes: u64,
    /// What is left for this one.
    room: u64,
    /// Of all together, for people.
    limit: u64,
}

impl Sink<'_> {
    fn too_large(&self, bytes: u64) -> Not {
        Not::Refused(self.over(bytes))
    }

    fn over(&self, bytes: u64) -> String {
        format!(
            "it has at least {bytes} bytes: a step keeps at most {} here in all, and {} are left",
            self.limit, self.room
        )
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let after = self.bytes + bytes.len() as u64;
        if after > self.room {
            return Err(io::Error::other(self.over(after)));
        }
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
