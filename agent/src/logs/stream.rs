//! One stream of one attempt, from its file to chunks and back from acknowledgements.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use types::limits;

use super::StreamEnd;
use crate::{data_dir, mask::Masker};

/// Bytes under way at once.
const WINDOW: u64 = 1024 * 1024;
/// The acknowledged point is written down this often, in bytes, and when all is acknowledged.
const NOTE_BYTES: u64 = 256 * 1024;
/// The runtime keeps a stream's last bytes in memory once it has dropped some, and appends them at the end. So what
/// lies in the last part of a full file may come after a loss that is not known yet.
const TAIL_BYTES: u64 = 64 * 1024;
/// What comes before it is in one piece.
const HEAD_BYTES: u64 = limits::LOG_STREAM_BYTES - TAIL_BYTES;
/// An end without bytes waits this long for others, so that the server stores them together: when one has, all go.
const LINGER: Duration = Duration::from_millis(100);
/// How often the server may answer with less than it was sent before the stream is given up.
const STALLS: u32 = 5;

/// A place in the file and in the masked stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Point {
    raw: u64,
    offset: u64,
    /// Everything, its end included.
    #[serde(default)]
    done: bool,
}

/// What is noted beside the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    acked: Point,
    /// The file had so many bytes when what is not acknowledged of them was given up and taken off the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_up: Option<u64>,
}

/// A part of the stream to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub offset: u64,
    pub data: Vec<u8>,
    pub lost: u64,
    pub end: bool,
    /// With the end: bytes may be missing there, and nobody counted them.
    pub end_unknown: bool,
}

/// The server has less than was acknowledged or than it was sent: the connection is to be made anew.
#[derive(Debug)]
pub(super) struct Behind;

#[derive(Debug)]
pub(super) struct Stream {
    path: PathBuf,
    note: PathBuf,
    file: Option<File>,
    next: Point,
    acked: Point,
    noted: u64,
    under_way: VecDeque<Point>,
    end: Option<StreamEnd>,
    /// How large the file is, once nothing more is written to it.
    ended_size: Option<u64>,
    ended_at: Option<Instant>,
    refused: bool,
    /// See [`Note`].
    given_up: Option<u64>,
    stalls: u32,
}

impl Stream {
    /// The stream `name` (`out`, `err`) of the attempt in `dir`.
    pub(super) fn open(dir: &Path, name: &str) -> Self {
        let note = dir.join(format!("sent-{name}"));
        // Without it all is sent again, and the server drops what it has.
        let Note { acked, given_up } = std::fs::read(&note)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default();
        Self {
            path: dir.join(name),
            note,
            file: None,
            next: acked,
            acked,
            noted: acked.raw,
            under_way: VecDeque::new(),
            end: None,
            ended_size: None,
            ended_at: None,
            refused: false,
            given_up,
            stalls: 0,
        }
    }

    pub(super) fn finish(&mut self, end: StreamEnd) {
        self.end = Some(end);
        self.ended_size = None;
        self.ended_at = Some(Instant::now());
    }

    /// All is acknowledged, or nothing is wanted.
    pub(super) const fn is_done(&self) -> bool {
        self.refused || self.acked.done
    }

    /// Only its end is left to be said.
    pub(super) const fn lingers(&self) -> bool {
        self.end.is_some() && !self.next.done && !self.refused
    }

    /// Its end, and nothing else, has waited long enough.
    pub(super) fn is_due(&self) -> bool {
        self.lingers()
            && self
                .ended_size
                .is_none_or(|size| self.piece(size) <= self.next.raw)
            && self.ended_at.is_some_and(|at| at.elapsed() >= LINGER)
    }

    pub(super) fn refuse(&mut self) {
        self.refused = true;
        self.under_way.clear();
    }

    /// What it takes of the disk for a server that does not have it all, in bytes.
    ///
    /// # Errors
    /// The file system does not say.
    pub(super) fn room(&mut self) -> io::Result<u64> {
        if self.is_done() || self.given_up.is_some() {
            return Ok(0);
        }
        self.size()
    }

    /// Takes it off the disk, and says how many bytes the server has not acknowledged. What is under way may still arrive; how
    /// much is missing after it is then said in the stream. Nothing is written to it any more.
    ///
    /// # Errors
    /// The disk refuses: it is as before.
    pub(super) fn give_up(&mut self) -> io::Result<u64> {
        if self.is_done() || self.given_up.is_some() {
            return Ok(0);
        }
        let size = self.whole()?;
        let file = match File::options().write(true).open(&self.path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let note = Note {
            acked: self.acked,
            given_up: Some(size),
        };
        // First how much it was, or a crash between the two would make it a log without a loss.
        data_dir::write_durably(&self.note, &serde_json::to_vec(&note)?)?;
        self.given_up = note.given_up;
        self.file = None;
        if let Some(file) = file {
            file.set_len(0)?;
        }
        Ok(size.saturating_sub(self.acked.raw))
    }

    /// A new connection begins behind what is acknowledged.
    pub(super) fn rewind(&mut self) {
        self.next = self.acked;
        self.under_way.clear();
    }

    /// The next part, if there is one now; an end without bytes only with `ends`.
    pub(super) fn next(&mut self, masker: &Masker, ends: bool) -> io::Result<Option<Chunk>> {
        if self.refused || self.next.done || self.next.offset - self.acked.offset >= WINDOW {
            return Ok(None);
        }
        if let Some(size) = self.given_up {
            return Ok(self.end.map(|end| self.last_words(size, end)));
        }
        let size = self.whole()?;
        let gap = self.gap(size);
        let lost = match gap {
            Some((at, dropped)) if at == self.next.raw => dropped,
            _ => 0,
        };
        let until = match gap {
            Some((at, _)) if at > self.next.raw => at,
            _ if self.end.is_some() => size,
            _ => size.min(HEAD_BYTES),
        };
        let wanted = (until.saturating_sub(self.next.raw)).min(limits::LOG_CHUNK_BYTES as u64);
        let bytes = self.read(usize::try_from(wanted).unwrap_or(0))?;
        let reached = self.next.raw + bytes.len() as u64;
        let last = self.end.is_some() && reached >= until;
        let cut_off = self.end_unknown() && until >= size;
        let (used, data) = mask(
            masker,
            &bytes,
            Edges {
                last,
                before: last && (cut_off || gap.is_some_and(|(at, _)| at == until && at > self.next.raw)),
                after: lost > 0,
            },
        );
        let is_end = last && until >= size && gap.is_none_or(|(at, _)| at <= self.next.raw);
        if data.is_empty() && !is_end {
            // A part that was dropped whole at a loss: only its place moves.
            self.next.raw += used as u64;
            return Ok(None);
        }
        let bare = data.is_empty() && lost == 0;
        if bare && !ends {
            return Ok(None);
        }
        let chunk = Chunk {
            offset: self.next.offset + lost,
            data,
            lost,
            end: is_end,
            end_unknown: is_end && self.end_unknown(),
        };
        self.next = Point {
            raw: self.next.raw + used as u64,
            offset: chunk.offset + chunk.data.len() as u64,
            done: is_end,
        };
        self.under_way.push_back(self.next);
        Ok(Some(chunk))
    }

    /// The end of a stream that is given up, which had a file of this size: what it lacks after what was sent.
    fn last_words(&mut self, size: u64, end: StreamEnd) -> Chunk {
        let dropped = match self.gap(size) {
            Some((at, dropped)) if at >= self.next.raw => dropped,
            _ => 0,
        };
        let lost = size.saturating_sub(self.next.raw) + dropped;
        self.next = Point {
            offset: self.next.offset + lost,
            done: true,
            ..self.next
        };
        self.under_way.push_back(self.next);
        Chunk {
            offset: self.next.offset,
            data: Vec::new(),
            lost,
            end: true,
            end_unknown: end.unknown,
        }
    }

    fn end_unknown(&self) -> bool {
        self.end.is_some_and(|end| end.unknown)
    }

    /// Bytes of the file that are one piece of the stream, from its beginning.
    fn whole(&mut self) -> io::Result<u64> {
        let size = self.size()?;
        Ok(self.piece(size))
    }

    /// How much of a file of this size that is.
    fn piece(&self, size: u64) -> u64 {
        // One that was killed as it appended what it had kept of the end counted no loss before it.
        size.min(if self.end_unknown() { HEAD_BYTES } else { u64::MAX })
    }

    /// Where bytes are missing and how many.
    fn gap(&self, size: u64) -> Option<(u64, u64)> {
        let end = self.end.filter(|end| end.dropped > 0)?;
        Some((end.gap_at.unwrap_or(size).min(size), end.dropped))
    }

    fn size(&mut self) -> io::Result<u64> {
        if let Some(size) = self.ended_size {
            return Ok(size);
        }
        let size = self.size_now()?;
        self.ended_size = self.end.map(|_| size);
        Ok(size)
    }

    fn size_now(&mut self) -> io::Result<u64> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        self.file
            .as_ref()
            .map_or(Ok(0), |file| Ok(file.metadata()?.len()))
    }

    fn read(&self, wanted: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; wanted];
        let mut done = 0;
        if let Some(file) = &self.file {
            while done < wanted {
                match file.read_at(&mut bytes[done..], self.next.raw + done as u64)? {
                    0 => break,
                    count => done += count,
                }
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    /// Takes an acknowledgement: one comes for each chunk, in order, with what the server holds then.
    ///
    /// # Errors
    /// The server holds less than it was sent up to there.
    pub(super) fn acknowledged(&mut self, offset: u64) -> Result<(), Behind> {
        let Some(first) = self.under_way.pop_front() else {
            return Ok(());
        };
        if offset < first.offset {
            self.stalls += 1;
            if self.stalls > STALLS {
                let bytes = self.size().unwrap_or_default().saturating_sub(self.acked.raw);
                tracing::warn!(stream = %self.path.display(), offset, bytes, "the server does not take this log; it is given up");
                self.refuse();
                return Ok(());
            }
            if offset < self.acked.offset {
                self.acked = Point::default();
            }
            return Err(Behind);
        }
        self.stalls = 0;
        self.acked = first;
        while let Some(next) = self
            .under_way
            .front()
            .filter(|next| next.offset <= offset && !next.done)
        {
            self.acked = *next;
            self.under_way.pop_front();
        }
        if self.under_way.is_empty() || self.acked.raw - self.noted.min(self.acked.raw) >= NOTE_BYTES {
            self.note_down();
        }
        Ok(())
    }

    fn note_down(&mut self) {
        if self.acked.raw == 0 && self.noted == 0 && self.given_up.is_none() {
            // Nothing would be sent again but its end.
            return;
        }
        self.noted = self.acked.raw;
        let note = Note {
            acked: self.acked,
            given_up: self.given_up,
        };
        let json = serde_json::to_vec(&note).unwrap_or_default();
        if let Err(error) = data_dir::replace(&self.note, &json) {
            // It only saves sending again after a restart.
            tracing::debug!(note = %self.note.display(), %error, "cannot note what is acknowledged");
        }
    }
}

struct Edges {
    /// Nothing follows these bytes in the file, or not directly.
    last: bool,
    /// A loss follows.
    before: bool,
    /// A loss precedes.
    after: bool,
}

/// The bytes used and their masked form. A secret that a loss cut in two is masked on both sides of it.
fn mask(masker: &Masker, bytes: &[u8], edges: Edges) -> (usize, Vec<u8>) {
    let mut data = Vec::with_capacity(bytes.len());
    let head = if edges.after { masker.cut_after(bytes) } else { 0 };
    let tail = if edges.before {
        masker.cut_before(&bytes[head..])
    } else {
        0
    };
    if head > 0 {
        data.extend_from_slice(crate::mask::MASK);
    }
    let middle = &bytes[head..bytes.len() - tail];
    let mut used = head + masker.mask(middle, edges.last, &mut data);
    if tail > 0 {
        data.extend_from_slice(crate::mask::MASK);
        used += tail;
    }
    (used, data)
}

#[cfg(test)]
mod tests;
