//! How a piece fits onto what is held of its stream, and how a held piece is cut for a reader.

use types::AttemptKey;

use super::{LogEnd, LogPiece, LogStream};

/// The largest offset that is held: databases keep 63 bits.
const LARGEST: u64 = i64::MAX.unsigned_abs();

/// What to do with a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It lies beyond a gap that it does not declare, or beyond the end.
    Refused,
    /// Its bytes are held already.
    Held {
        /// The stream's end, where that is news.
        news: Option<LogEnd>,
    },
    /// It carries on.
    Keep {
        /// Bytes at its beginning that are held already.
        skip: usize,
        /// Offset of the first byte that is kept.
        offset: u64,
        /// Offset up to which the stream is held then.
        held: u64,
    },
}

/// Fits a piece onto a stream that is held up to `held` and has, or has not, ended there.
pub(super) fn fit(held: u64, ended: LogEnd, piece: &LogPiece) -> Fit {
    let end = (piece.offset.checked_add(piece.data.len() as u64)).filter(|end| *end <= LARGEST);
    let Some(end) = end else { return Fit::Refused };
    if piece.offset.saturating_sub(piece.lost) > held {
        return Fit::Refused;
    }
    if end <= held {
        let news = piece.end.is_end() && !ended.is_end() && end == held;
        return Fit::Held {
            news: news.then_some(piece.end),
        };
    }
    if ended.is_end() {
        return Fit::Refused;
    }
    // `end > held` bounds the difference by the length of the data.
    let skip = held.saturating_sub(piece.offset) as usize;
    Fit::Keep {
        skip,
        offset: piece.offset.max(held),
        held: end,
    }
}

/// A held piece: the bytes from `start` to `offset` are lost, then the data comes.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) start: u64,
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
}

impl Kept {
    /// Offset after its last byte.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }

    /// What a reader gets who has all bytes before `from`; `end` is what follows it.
    pub(super) fn cut(self, attempt: &AttemptKey, stream: LogStream, from: u64, end: LogEnd) -> LogPiece {
        let offset = self.offset.max(from).min(self.end());
        let mut data = self.data;
        data.drain(..(offset - self.offset) as usize);
        let lost = self.offset.saturating_sub(self.start.max(from));
        LogPiece {
            attempt: attempt.clone(),
            stream,
            offset,
            data,
            lost,
            end,
        }
    }
}

/// What a reader gets who is at or beyond the end of a stream that ended so.
pub(super) fn end_mark(attempt: &AttemptKey, stream: LogStream, offset: u64, end: LogEnd) -> LogPiece {
    LogPiece {
        attempt: attempt.clone(),
        stream,
        offset,
        data: Vec::new(),
        lost: 0,
        end,
    }
}
