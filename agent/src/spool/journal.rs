//! A file of records, each with its length and checksum.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
};

use crate::{
    data_dir::write_durably,
    error::{AgentError, tried},
};

/// The first bytes of the file; the digit is the version of the form.
const MAGIC: &[u8; 8] = b"FHSPOOL1";
/// Length and CRC-32, little endian.
const HEADER: usize = 8;
/// Room behind the end that is taken ahead, so that results are still written when the disk is full: a dozen of the
/// largest, thousands of ordinary ones.
const RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// How the payload of each record begins (`Record`'s tag).
const BEGIN: &[u8] = b"{\"record\":";
/// Copies of damaged spools that are kept; the oldest makes room.
const COPIES: usize = 8;
/// A record is far smaller; a larger length is damage.
const RECORD_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    size: u64,
    /// Up to here the file system has promised room.
    reserved: u64,
}

impl Journal {
    /// What a payload takes in the file.
    pub(super) const fn framed(payload: usize) -> u64 {
        (payload + HEADER) as u64
    }

    /// Opens or makes it and returns what its whole records say. What follows the last of them is cut off.
    pub(super) fn open(path: &Path) -> Result<(Self, Found), AgentError> {
        let shown = path.display();
        let fails = |what: &str| tried(format!("{shown}: {what}"));
        if !path.exists() {
            let file = create(path, &[]).map_err(fails("cannot make the spool"))?;
            return Ok((
                Self {
                    path: path.to_owned(),
                    file,
                    size: MAGIC.len() as u64,
                    reserved: 0,
                },
                Found::default(),
            ));
        }
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(fails("cannot open the spool"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(fails("cannot read the spool"))?;
        if !bytes.starts_with(MAGIC) {
            let why = "it does not begin as one".to_owned();
            return Err(AgentError::Spool {
                path: path.to_owned(),
                why,
            });
        }
        let read = records(&bytes);
        let whole = read.whole;
        if read.damaged > 0 {
            let copy = keep_copy(path, &bytes).map_err(fails("cannot keep the damaged spool"))?;
            tracing::error!(
                spool = %shown, places = read.damaged, bytes = read.skipped, copy = %copy.display(),
                "the spool is damaged: what stood there is skipped, and attempts that it may have been about are treated as \
                 possibly started; the file as it was is kept beside it. Look at the disk"
            );
        }
        if whole < bytes.len() {
            tracing::warn!(spool = %shown, torn = bytes.len() - whole, "the spool's tail was torn and is cut off");
            file.set_len(whole as u64)
                .and_then(|()| file.sync_all())
                .map_err(fails("cannot cut the spool"))?;
        }
        Ok((
            Self {
                path: path.to_owned(),
                file,
                size: whole as u64,
                reserved: 0,
            },
            read,
        ))
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends records by one write.
    pub(super) fn append(&mut self, payloads: &[Vec<u8>]) -> io::Result<()> {
        let frames = framed(payloads);
        self.file.write_all_at(&frames, self.size)?;
        self.size += frames.len() as u64;
        Ok(())
    }

    /// Flushes what was appended.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Takes room ahead where there is less than half of it; false when the disk has none. Where the file system cannot
    /// promise any, there is no reserve.
    pub(super) fn reserve(&mut self) -> io::Result<bool> {
        if self.reserved >= self.size + RESERVE_BYTES / 2 {
            return Ok(true);
        }
        let (at, length) = (self.size.cast_signed(), RESERVE_BYTES.cast_signed());
        match fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, at, length) {
            Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                self.reserved = self.size + RESERVE_BYTES;
                Ok(true)
            }
            Err(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Puts a new file with these records in its own place; false, and nothing has changed, when the disk has no room
    /// for a second one.
    pub(super) fn rewrite(&mut self, payloads: &[Vec<u8>]) -> io::Result<bool> {
        let frames = framed(payloads);
        let tmp = self.path.with_extension("new");
        let file = match write_new(&tmp, &frames) {
            Ok(file) => file,
            Err(error) if is_full(&error) => {
                fs_err::remove_file(&tmp)?;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        put(&tmp, &self.path)?;
        self.file = file;
        self.size = (MAGIC.len() + frames.len()) as u64;
        self.reserved = 0;
        Ok(true)
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn create(path: &Path, frames: &[u8]) -> io::Result<File> {
    let tmp = path.with_extension("new");
    let file = write_new(&tmp, frames)?;
    put(&tmp, path)?;
    Ok(file)
}

/// Writes and flushes it.
fn write_new(tmp: &Path, frames: &[u8]) -> io::Result<File> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(tmp)?;
    file.write_all(MAGIC)?;
    file.write_all(frames)?;
    file.sync_all()?;
    Ok(file)
}

/// Renames it into its place, durably.
fn put(tmp: &Path, path: &Path) -> io::Result<()> {
    fs_err::rename(tmp, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Keeps what a damaged spool held, on the disk before the spool itself is changed: under a number of its own, so that a
/// second damage does not take the place of the first.
fn keep_copy(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut kept = copies(path)?;
    let number = kept.last().map_or(1, |last| last + 1);
    let copy = copy_name(path, number);
    write_durably(&copy, bytes)?;
    kept.push(number);
    for old in &kept[..kept.len().saturating_sub(COPIES)] {
        fs_err::remove_file(copy_name(path, *old))?;
    }
    Ok(copy)
}

fn copy_name(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("damaged-{number}"))
}

/// The numbers of the copies that are there, the oldest first.
fn copies(path: &Path) -> io::Result<Vec<u32>> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(Vec::new());
    };
    let begin = format!("{name}.damaged-");
    let mut numbers = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        let found = entry?.file_name();
        let number = found.to_str().and_then(|found| found.strip_prefix(&begin));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn framed(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(payloads.iter().map(|p| p.len() + HEADER).sum());
    for payload in payloads {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        frames.extend_from_slice(&length.to_le_bytes());
        frames.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        frames.extend_from_slice(payload);
    }
    frames
}

/// What a journal holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The payloads of the whole records.
    pub(super) payloads: Vec<Vec<u8>>,
    /// Places before the last whole record that are no record.
    pub(super) damaged: usize,
    /// Their bytes.
    pub(super) skipped: usize,
    /// Where the last whole record ends.
    whole: usize,
}

/// A record that is not whole and has whole ones behind it is damage, not a torn tail: it is skipped to the next whole one.
fn records(bytes: &[u8]) -> Found {
    let mut read = Found {
        whole: MAGIC.len(),
        ..Found::default()
    };
    let mut at = MAGIC.len();
    while at < bytes.len() {
        if let Some(payload) = record(&bytes[at..]) {
            read.payloads.push(payload.to_vec());
            if at > read.whole {
                read.damaged += 1;
                read.skipped += at - read.whole;
            }
            at += HEADER + payload.len();
            read.whole = at;
        } else {
            at = next_record(bytes, at + 1);
        }
    }
    read
}

/// Where the next record may begin: each is a JSON object that names its kind first, so most places need no checksum.
fn next_record(bytes: &[u8], from: usize) -> usize {
    let begins = |at: &usize| {
        bytes
            .get(at + HEADER..)
            .is_some_and(|rest| rest.starts_with(BEGIN))
    };
    (from..bytes.len()).find(begins).unwrap_or(bytes.len())
}

fn record(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length))
        .ok()
        .filter(|n| (1..=RECORD_BYTES).contains(n))?;
    let payload = rest.get(..length)?;
    (crc32fast::hash(payload) == u32::from_le_bytes(*crc)).then_some(payload)
}
