//! One attempt's streams: the step's two, and two of each of its services.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use proto::v1;
use types::{AttemptKey, LeaseToken};

use super::{
    Ends,
    stream::{Behind, Stream},
};
use crate::{attempt::pod, convert, mask::Masker};

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
    /// Which attempt it is of, for people.
    pub shown: String,
    streams: Vec<One>,
    /// Written by another process, which tells nobody.
    pub by_itself: bool,
    pub finished: bool,
    acknowledged: bool,
    /// What its files take of the disk; known once nothing more is written to them.
    room: Option<u64>,
    /// A file cannot be read: once nothing more is written, what the server lacks is given up.
    pub unreadable: bool,
    /// The host refused what its files need: they are left alone until then.
    rests_until: Option<Instant>,
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
            shown: format!("{} {key}", key.run),
            streams,
            by_itself,
            finished: false,
            acknowledged: false,
            room: None,
            unreadable: false,
            rests_until: None,
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

    /// Its result is with the server: only its logs keep it.
    pub(super) fn result_acknowledged(&mut self) {
        self.acknowledged = true;
    }

    pub(super) fn is_done(&self) -> bool {
        self.finished && self.streams.iter().all(|one| one.stream.is_done())
    }

    /// What it takes of the disk for its logs' sake alone, in bytes.
    pub(super) fn waiting(&mut self) -> u64 {
        if !(self.acknowledged && self.finished) {
            return 0;
        }
        if self.room.is_none() {
            // Where one cannot be looked at now, it is looked at again.
            let rooms = self.streams.iter_mut().map(|one| one.stream.room());
            self.room = rooms.sum::<io::Result<u64>>().ok();
        }
        self.room.unwrap_or_default()
    }

    /// Takes what the server does not have off the disk, and says how many bytes that were. Done once.
    ///
    /// # Errors
    /// The disk refuses; what could be read still can.
    pub(super) fn give_up(&mut self) -> io::Result<u64> {
        let mut lost = 0;
        for one in &mut self.streams {
            lost += one.stream.give_up()?;
        }
        self.room = Some(0);
        self.unreadable = false;
        self.rests_until = None;
        Ok(lost)
    }

    /// Nothing is read any more. Whether what the server lacks can be given up at once: nothing more is written.
    pub(super) fn leave_unread(&mut self) -> bool {
        self.unreadable = true;
        self.finished
    }

    /// Leaves its files alone for a while. Whether they were not left alone before: something worth telling.
    pub(super) fn rest(&mut self, pause: Duration) -> bool {
        self.rests_until.replace(Instant::now() + pause).is_none()
    }

    pub(super) fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn lingers(&self) -> bool {
        !self.rests() && self.streams.iter().any(|one| one.stream.lingers())
    }

    pub(super) fn is_due(&self) -> bool {
        !self.rests() && self.streams.iter().any(|one| one.stream.is_due())
    }

    pub(super) fn rewind(&mut self) {
        self.streams.iter_mut().for_each(|one| one.stream.rewind());
    }

    pub(super) fn refuse(&mut self) {
        self.streams.iter_mut().for_each(|one| one.stream.refuse());
    }

    pub(super) fn next(&mut self, masker: &Masker, ends: bool) -> io::Result<Option<v1::LogChunk>> {
        if self.unreadable || self.rests() {
            return Ok(None);
        }
        for One {
            kind,
            service,
            stream,
        } in &mut self.streams
        {
            if let Some(chunk) = stream.next(masker, ends)? {
                self.rests_until = None;
                return Ok(Some(v1::LogChunk {
                    attempt: Some(self.attempt.clone()),
                    token: self.token.clone(),
                    stream: (*kind).into(),
                    offset: chunk.offset,
                    data: chunk.data,
                    lost: chunk.lost,
                    end: chunk.end,
                    service: service.clone(),
                    end_unknown: chunk.end_unknown,
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
