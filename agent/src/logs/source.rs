//! One attempt's two streams.

use std::{io, path::Path};

use node::clock::Boot;
use proto::v1;
use types::{AttemptKey, LeaseToken, Millis};

use super::{
    StreamEnd,
    stream::{Behind, Stream},
};
use crate::{convert, mask::Masker};

/// How long the logs of an acknowledged result are kept for a server that does not take them.
const PATIENCE_MS: Millis = 15 * 60_000;

#[derive(Debug)]
pub(super) struct Source {
    token: String,
    attempt: v1::AttemptRef,
    streams: [(v1::LogStream, Stream); 2],
    /// Written by another process, which tells nobody.
    pub by_itself: bool,
    pub finished: bool,
    give_up: Option<Boot>,
}

impl Source {
    pub(super) fn open(dir: &Path, token: &LeaseToken, key: &AttemptKey, by_itself: bool) -> Self {
        let stream = |kind, name| (kind, Stream::open(dir, name));
        Self {
            token: token.to_string(),
            attempt: convert::attempt(key),
            streams: [
                stream(v1::LogStream::Stdout, "out"),
                stream(v1::LogStream::Stderr, "err"),
            ],
            by_itself,
            finished: false,
            give_up: None,
        }
    }

    pub(super) fn finish(&mut self, ends: [StreamEnd; 2]) {
        self.finished = true;
        for ((_, stream), end) in self.streams.iter_mut().zip(ends) {
            stream.finish(end);
        }
    }

    pub(super) fn be_impatient(&mut self) {
        self.give_up.get_or_insert(Boot::now().plus(PATIENCE_MS));
    }

    pub(super) fn is_done(&self) -> bool {
        let all = self.finished && self.streams.iter().all(|(_, stream)| stream.is_done());
        all || self.give_up.is_some_and(|at| Boot::now() >= at)
    }

    pub(super) fn lingers(&self) -> bool {
        self.streams.iter().any(|(_, stream)| stream.lingers())
    }

    pub(super) fn rewind(&mut self) {
        self.streams.iter_mut().for_each(|(_, stream)| stream.rewind());
    }

    pub(super) fn refuse(&mut self) {
        self.streams.iter_mut().for_each(|(_, stream)| stream.refuse());
    }

    pub(super) fn next(&mut self, masker: &Masker) -> io::Result<Option<v1::LogChunk>> {
        for (kind, stream) in &mut self.streams {
            if let Some(chunk) = stream.next(masker)? {
                return Ok(Some(v1::LogChunk {
                    attempt: Some(self.attempt.clone()),
                    token: self.token.clone(),
                    stream: (*kind).into(),
                    offset: chunk.offset,
                    data: chunk.data,
                    lost: chunk.lost,
                    end: chunk.end,
                }));
            }
        }
        Ok(None)
    }

    pub(super) fn acknowledged(&mut self, ack: &v1::LogAck) -> Result<(), Behind> {
        match self
            .streams
            .iter_mut()
            .find(|(kind, _)| i32::from(*kind) == ack.stream)
        {
            Some((_, stream)) => stream.acknowledged(ack.offset),
            None => Ok(()),
        }
    }
}
