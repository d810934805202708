//! The files of one attempt's directory: the only thing that agent and shim share.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, fstatfs};
use types::Millis;

use crate::ExitRecord;

/// What a step may write to `$FIREHALL_OUTPUT` and `$FIREHALL_DEGRADED` together, in bytes: a write beyond it fails in
/// the step (no space left).
pub const RUN_FILE_BYTES: u64 = 1024 * 1024;

/// The file that says that it is ready.
pub(crate) const READY: &str = "ready";
/// It holds a number.
const READY_BYTES: u64 = 64;

/// Held by whoever starts or runs the attempt, with who that is in it.
pub(crate) const LOCK: &str = "lock";
/// An empty file that becomes the marker of a start: what is left of an earlier attempt's.
pub(crate) const UNSTARTED: &str = "unstarted";

/// The paths of one attempt.
#[derive(Debug, Clone)]
pub struct AttemptDir {
    path: PathBuf,
}

/// A shim as its lock file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShimId {
    pub pid: i32,
    pub start_time: u64,
}

impl AttemptDir {
    /// The attempt that lives in this directory.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Standard output, to be tailed.
    #[must_use]
    pub fn stdout(&self) -> PathBuf {
        self.path.join("out")
    }

    /// Standard error, to be tailed.
    #[must_use]
    pub fn stderr(&self) -> PathBuf {
        self.path.join("err")
    }

    /// The bytes of the step's Nth file, from 0.
    #[must_use]
    pub fn file(&self, n: usize) -> PathBuf {
        self.path.join("files").join(n.to_string())
    }

    /// What was kept of the step, one after the other; see [`crate::ArtifactEnd`].
    #[must_use]
    pub fn artifacts(&self) -> PathBuf {
        self.path.join("artifacts")
    }

    /// Makes the attempt's directory, and the one of its files, for nobody but this user.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn make_files(&self) -> io::Result<()> {
        let make = |path: &Path| match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        make(&self.path)?;
        make(&self.path.join("files"))
    }

    /// What the step wrote to `$FIREHALL_OUTPUT`; empty when it wrote nothing. Complete once there is an exit record.
    ///
    /// # Errors
    /// The file is not a regular one, is larger than [`RUN_FILE_BYTES`], or cannot be read.
    pub fn output(&self) -> io::Result<Vec<u8>> {
        read_small(&self.path.join("run/output"), RUN_FILE_BYTES)
    }

    /// What the step wrote to `$FIREHALL_DEGRADED`; as [`AttemptDir::output`].
    ///
    /// # Errors
    /// As [`AttemptDir::output`].
    pub fn degraded(&self) -> io::Result<Vec<u8>> {
        read_small(&self.path.join("run/degraded"), RUN_FILE_BYTES)
    }

    /// The exit record, when there is one. The record of another attempt is none, nor are zeros: directories are used again, and a file
    /// system may have lost, with the host's power, that it was taken away.
    ///
    /// # Errors
    /// The record cannot be read or is not one.
    pub fn exit_record(&self) -> io::Result<Option<ExitRecord>> {
        let record: ExitRecord = match fs_err::read(self.exit()) {
            Ok(bytes) if bytes.iter().all(|byte| *byte == 0) && !bytes.is_empty() => return Ok(None),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_ours = match (&record.attempt, self.path.file_name()) {
            (Some(attempt), Some(name)) => name == attempt.as_str(),
            _ => true,
        };
        Ok(is_ours.then_some(record))
    }

    /// See the table of this crate.
    #[must_use]
    pub fn job(&self) -> PathBuf {
        self.path.join("job.json")
    }

    pub(crate) fn exit(&self) -> PathBuf {
        self.path.join(RECORD)
    }

    /// See the table of this crate.
    #[must_use]
    pub fn started(&self) -> PathBuf {
        self.path.join("started")
    }

    /// What [`Self::started`] was, emptied, in a directory that is used again.
    pub(crate) fn unstarted(&self) -> PathBuf {
        self.path.join(UNSTARTED)
    }

    /// How long it took to be ready, once it is.
    ///
    /// # Errors
    /// The file cannot be read or is not one of ours.
    pub fn ready(&self) -> io::Result<Option<Millis>> {
        let bytes = read_small(&self.path.join(READY), READY_BYTES)?;
        // The newline says that it is whole.
        match bytes.strip_suffix(b"\n") {
            Some(line) => serde_json::from_slice(line).map(Some).map_err(io::Error::other),
            None => Ok(None),
        }
    }

    /// Where the first process of a container that others join is written down.
    pub(crate) fn init(&self) -> PathBuf {
        self.path.join("init")
    }

    /// See the table of this crate.
    #[must_use]
    pub fn stop(&self) -> PathBuf {
        self.path.join("stop")
    }

    pub(crate) fn shim_log(&self) -> PathBuf {
        self.path.join("shim.log")
    }

    /// Opens the lock file; `None` when a shim (or a starter) holds it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<File>> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Between the two the directory may have become a spare one, or another attempt's.
        let (ours, there) = (file.metadata()?, std::fs::metadata(&path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            Ok(Some(file))
        } else {
            Ok(None)
        }
    }

    /// Who holds the lock, once it has said so.
    pub(crate) fn shim_id(&self) -> io::Result<Option<ShimId>> {
        let text = match std::fs::read_to_string(self.path.join(LOCK)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // The newline says that the line is whole.
        let Some(line) = text.strip_suffix('\n') else {
            return Ok(None);
        };
        let id = line.split_once(' ').and_then(|(pid, start)| {
            Some(ShimId {
                pid: pid.parse().ok()?,
                start_time: start.parse().ok()?,
            })
        });
        id.map(Some)
            .ok_or_else(|| io::Error::other("the lock file is not a shim's"))
    }
}

/// Reads a regular file of limited size without following a link and without waiting on a FIFO.
///
/// # Errors
/// It is not a regular file, is larger than `limit` bytes, or cannot be read. One that is not there is empty.
pub fn read_small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!(
            "{} is larger than {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Writes a file so that after a crash it is there whole or not at all.
///
/// # Errors
/// The disk refuses; the file is as before then.
pub fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let tmp = dir.join(format!("{name}.tmp"));
    // Not truncated before: what was reserved for it stays its own on a full disk.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&tmp)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()?;
    std::fs::rename(&tmp, dir.join(name))?;
    sync_dir(dir)
}

/// Opens a file for writing, for nobody but this user, and empty. One that is empty already is not truncated: after a truncation
/// ext4 writes a file's bytes to the disk as soon as it is closed (`auto_da_alloc` in the kernel's ext4.rst).
pub(crate) fn create_empty(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    empty(&file)?;
    Ok(file)
}

/// Empties an open file that is not empty.
pub(crate) fn empty(file: &File) -> io::Result<()> {
    if file.metadata()?.len() > 0 {
        file.set_len(0)?;
    }
    Ok(())
}

/// How an attempt ended: the file that the agent looks for.
const RECORD: &str = "exit.json";
/// Where it is written before it has its name.
pub(crate) const RECORD_ROOM: &str = "exit.json.tmp";
/// More than a record ever has, in bytes.
const RECORD_BYTES: u32 = 16 * 1024;
/// A record's file is as large as so many of these as it needs, in bytes.
const RECORD_STEP: usize = 4096;

/// Takes the room that the record of an attempt's end will need, so that a disk that is full by then does not lose it. Where the
/// file system cannot do that, there is no reserve. Room that an earlier attempt has left there is as good.
///
/// # Errors
/// The room is not there now.
pub(crate) fn reserve_record(dir: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join(RECORD_ROOM))?;
    // Blocks of 512 bytes, whatever the file system's are (stat(2)).
    if file.metadata()?.blocks() * 512 >= u64::from(RECORD_BYTES) {
        return Ok(());
    }
    let take = |flags| fallocate(&file, flags, 0, RECORD_BYTES.into());
    let kept = match take(FallocateFlags::FALLOC_FL_KEEP_SIZE) {
        // NFS can only lengthen the file.
        Err(Errno::EOPNOTSUPP) => take(FallocateFlags::empty()),
        done => done,
    };
    match kept {
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes the record: after a crash it is there whole or not at all. Spaces make up its size, so that the file that an earlier
/// attempt has left keeps its own: then nothing but its bytes has to reach the disk, no size and no blocks.
///
/// # Errors
/// The disk refuses.
pub(crate) fn write_record(dir: &Path, mut json: Vec<u8>) -> io::Result<()> {
    json.resize(json.len().next_multiple_of(RECORD_STEP), b' ');
    let room = dir.join(RECORD_ROOM);
    // Not truncated: what was reserved for it stays its own on a full disk.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&room)?;
    file.write_all_at(&json, 0)?;
    if file.metadata()?.len() != json.len() as u64 {
        file.set_len(json.len() as u64)?;
    }
    file.sync_data()?;
    std::fs::rename(&room, dir.join(RECORD))?;
    sync_dir(dir)
}

/// Leaves nothing of an earlier record in the room for one but its size, zeros; not even that where what is overwritten is written
/// elsewhere, and needs new room.
///
/// # Errors
/// The disk refuses.
pub(crate) fn blank_record(room: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(room)?;
    match usize::try_from(file.metadata()?.len()) {
        Ok(length) if length <= RECORD_BYTES as usize && is_overwritten_in_place(&file)? => {
            file.write_all_at(&vec![0; length], 0)
        }
        _ => file.set_len(0),
    }
}

/// bcachefs' magic number (the kernel's `BCACHEFS_SUPER_MAGIC`); nix has the other.
const BCACHEFS: libc::c_long = 0xca45_1a4e;

fn is_overwritten_in_place(file: &File) -> io::Result<bool> {
    let kind = fstatfs(file)?.filesystem_type();
    Ok(kind != BTRFS_SUPER_MAGIC && kind.0 != BCACHEFS)
}

/// Makes a directory's entries durable.
///
/// # Errors
/// The disk refuses.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The start time of a process in clock ticks since boot (field 22 of `/proc/PID/stat`): with the pid it names a
/// process for good. `None` when there is no such process, or only its zombie.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold spaces and parentheses: count from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// One whose message makes it about so long, in bytes.
    fn record(bytes: usize) -> Vec<u8> {
        let message = "x".repeat(bytes);
        let start_error = Some(crate::StartError::new(crate::StartErrorKind::Runtime, message));
        serde_json::to_vec(&ExitRecord {
            start_error,
            ..ExitRecord::default()
        })
        .unwrap()
    }

    #[test]
    fn a_record_longer_or_shorter_than_the_one_before_in_its_room_is_read_as_it_was_written() {
        let tmp = tempfile::tempdir().unwrap();
        let files = AttemptDir::new(tmp.path());
        for bytes in [10, 6_000, 10, 12_000, 3_000] {
            reserve_record(tmp.path()).unwrap();
            let room = tmp.path().join(RECORD_ROOM);
            assert!(std::fs::metadata(&room).unwrap().blocks() * 512 >= RECORD_BYTES.into());
            write_record(tmp.path(), record(bytes)).unwrap();
            let read = files.exit_record().unwrap().unwrap();
            assert_eq!(read.start_error.unwrap().message.len(), bytes);
            std::fs::rename(files.exit(), &room).unwrap();
            blank_record(&room).unwrap();
            // As it is when the host lost its power between the two.
            std::fs::rename(&room, files.exit()).unwrap();
            assert!(files.exit_record().unwrap().is_none());
            std::fs::rename(files.exit(), &room).unwrap();
        }
    }
}
