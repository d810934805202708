//! One stream of the step into one file of limited size. The step never waits for the disk being full.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::StreamRecord;
use crate::attempt_dir::create_empty;

/// The most that is kept of a stream's end after a loss.
const TAIL_BYTES: u64 = 64 * 1024;

/// A pipe, its file, and the count.
#[derive(Debug)]
pub struct Pump {
    pipe: Option<File>,
    sink: Sink,
}

impl Pump {
    pub(super) fn new(pipe: OwnedFd, file: &Path, cap: u64) -> io::Result<Self> {
        Self::into_file(pipe, create_empty(file)?, cap)
    }

    /// Into an open file that is empty; at most `cap` bytes of the stream are kept.
    ///
    /// # Errors
    /// The pipe cannot be read without waiting.
    pub fn into_file(pipe: OwnedFd, file: File, cap: u64) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self {
            pipe: Some(File::from(pipe)),
            sink: Sink::new(file, cap),
        })
    }

    /// To poll; none after the stream's end.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(|pipe| pipe.as_fd())
    }

    /// Moves what is there. Bounded a call, so that a flood does not keep the shim from its clock.
    pub fn turn(&mut self, buffer: &mut [u8]) {
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.sink.take(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.sink.error.get_or_insert_with(|| error.to_string());
                    self.pipe = None;
                }
            }
        }
    }

    /// Writes the kept end and syncs.
    #[must_use]
    pub fn finish(self) -> StreamRecord {
        self.sink.finish()
    }
}

#[derive(Debug)]
/// First bytes to the file, last bytes in memory until the end.
struct Sink {
    file: File,
    head: u64,
    tail_cap: usize,
    tail: VecDeque<u8>,
    total: u64,
    written: u64,
    error: Option<String>,
}

impl Sink {
    fn new(file: File, cap: u64) -> Self {
        let tail = TAIL_BYTES.min(cap / 4);
        let tail_cap = usize::try_from(tail).unwrap_or(0);
        Self {
            file,
            head: cap - tail,
            tail_cap,
            tail: VecDeque::new(),
            total: 0,
            written: 0,
            error: None,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = usize::try_from(self.head - self.written)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let mut rest = bytes;
        // After a loss nothing may follow in the file but the tail: order.
        if self.error.is_none() && self.tail.is_empty() {
            let wrote = self.write(&bytes[..room]);
            rest = if self.error.is_some() {
                &bytes[room..]
            } else {
                &bytes[wrote..]
            };
        }
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.tail_cap);
        self.tail.drain(..over);
    }

    /// How many bytes came into the file; fewer than given means an error, which is kept.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.write(&bytes[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error.get_or_insert_with(|| error.to_string());
                    break;
                }
            }
        }
        self.written += done as u64;
        done
    }

    fn finish(mut self) -> StreamRecord {
        let gap = self.written;
        let tail = std::mem::take(&mut self.tail);
        let (first, second) = tail.as_slices();
        let whole = self.write(first) == first.len() && self.write(second) == second.len();
        if (whole && self.total > 0)
            && let Err(error) = self.file.sync_data()
        {
            self.error.get_or_insert_with(|| error.to_string());
        }
        let dropped = self.total - self.written;
        StreamRecord {
            bytes: self.total,
            dropped,
            gap_at: (dropped > 0).then_some(gap),
            error: self.error,
            end_unknown: false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn through(cap: u64, pieces: &[&[u8]]) -> (Vec<u8>, StreamRecord) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut sink = Sink::new(File::create(&path).unwrap(), cap);
        for piece in pieces {
            sink.take(piece);
        }
        let record = sink.finish();
        (std::fs::read(path).unwrap(), record)
    }

    #[test]
    fn what_fits_is_whole_whatever_the_pieces() {
        for pieces in [
            &[b"0123456789".as_slice()][..],
            &[b"0123", b"456789"],
            &[b"01234567", b"8", b"9"],
        ] {
            let (file, record) = through(10, pieces);
            assert_eq!(
                (file.as_slice(), record.bytes, record.dropped, record.gap_at),
                (b"0123456789".as_slice(), 10, 0, None)
            );
        }
    }

    #[test]
    fn a_flood_keeps_its_head_and_its_tail_and_counts_the_rest() {
        // Of 8 bytes, 2 are the tail.
        let (file, record) = through(8, &[b"abcd", b"efghijklmnop", b"qrstuvwxyz"]);
        assert_eq!(file, b"abcdefyz");
        assert_eq!((record.bytes, record.dropped, record.gap_at), (26, 18, Some(6)));
    }

    #[test]
    fn a_full_disk_is_a_counted_loss_with_its_cause() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut sink = Sink::new(full, 100);
        sink.take(b"hello");
        sink.take(b"world");
        let record = sink.finish();
        assert_eq!((record.bytes, record.dropped, record.gap_at), (10, 10, Some(0)));
        assert!(record.error.unwrap().contains("No space left"));
    }
}
