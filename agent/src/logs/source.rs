//! One attempt's streams: the step's two, and two of each of its services.

use std::{io, path::Path};

use node::clock::Boot;
use proto::v1;
use types::{AttemptKey, LeaseToken, Millis};

use super::{
    Ends,
    stream::{Behind, Stream},
};
use crate::{attempt::pod, convert, mask::Masker};

/// How long the logs of an acknowledged result are kept for a server that does not take them.
const PATIENCE_MS: Millis = 15 * 60_000;

/// One of them.
#[derive(Debug)]
struct One {
    kind: v1::LogStream,
    /// Whose it is; empty for the step itself.
    service: String,
    stream: Stream,
}

impl One {
    fn both(dir: &Path, service: &str) -> [Self; 2] {
        [(v1::LogStream::Stdout, "out"), (v1::LogStream::Stderr, "err")].map(|(kind, name)| Self {
            kind,
            service: service.to_owned(),
            stream: Stream::open(dir, name),
        })
    }
}

#[derive(Debug)]
pub(super) struct Source {
    token: String,
    attempt: v1::AttemptRef,
    streams: Vec<One>,
    /// Written by another process, which tells nobody.
    pub by_itself: bool,
    pub finished: bool,
    give_up: Option<Boot>,
}

impl Source {
    pub(super) fn open(
        dir: &Path,
        token: &LeaseToken,
        key: &AttemptKey,
        by_itself: bool,
        services: &[String],
    ) -> Self {
        let mut streams = Vec::from(One::both(dir, ""));
        for name in services {
            streams.extend(One::both(&pod::service_dir(dir, name), name));
        }
        Self {
            token: token.to_string(),
            attempt: convert::attempt(key),
            streams,
            by_itself,
            finished: false,
            give_up: None,
        }
    }

    pub(super) fn finish(&mut self, ends: &Ends) {
        self.finished = true;
        for one in &mut self.streams {
            let ends = match one.service.as_str() {
                "" => ends.step,
                // One that was never begun wrote nothing.
                name => ends.services.get(name).copied().unwrap_or_default(),
            };
            let [out, err] = ends;
            one.stream.finish(if one.kind == v1::LogStream::Stderr {
                err
            } else {
                out
            });
        }
    }

    pub(super) fn be_impatient(&mut self) {
        self.give_up.get_or_insert(Boot::now().plus(PATIENCE_MS));
    }

    pub(super) fn is_done(&self) -> bool {
        let all = self.finished && self.streams.iter().all(|one| one.stream.is_done());
        all || self.give_up.is_some_and(|at| Boot::now() >= at)
    }

    pub(super) fn lingers(&self) -> bool {
        self.streams.iter().any(|one| one.stream.lingers())
    }

    pub(super) fn rewind(&mut self) {
        self.streams.iter_mut().for_each(|one| one.stream.rewind());
    }

    pub(super) fn refuse(&mut self) {
        self.streams.iter_mut().for_each(|one| one.stream.refuse());
    }

    pub(super) fn next(&mut self, masker: &Masker) -> io::Result<Option<v1::LogChunk>> {
        for One {
            kind,
            service,
            stream,
        } in &mut self.streams
        {
            if let Some(chunk) = stream.next(masker)? {
                return Ok(Some(v1::LogChunk {
                    attempt: Some(self.attempt.clone()),
                    token: self.token.clone(),
                    stream: (*kind).into(),
                    offset: chunk.offset,
                    data: chunk.data,
                    lost: chunk.lost,
                    end: chunk.end,
                    service: service.clone(),
                }));
            }
        }
        Ok(None)
    }

    pub(super) fn acknowledged(&mut self, ack: &v1::LogAck) -> Result<(), Behind> {
        match self
            .streams
            .iter_mut()
            .find(|one| i32::from(one.kind) == ack.stream && one.service == ack.service)
        {
            Some(one) => one.stream.acknowledged(ack.offset),
            None => Ok(()),
        }
    }
}
