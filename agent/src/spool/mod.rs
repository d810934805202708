//! What the agent must not forget: leases with their work, results that are not acknowledged, tombstones, the dial
//! counter. One append-only journal, folded into memory; rewritten when most of it is of no use any more.

mod journal;
mod record;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use protocol::{agent::Phase, ids::DeskLease};
use types::{LeaseToken, Millis, Timestamp};

pub(crate) use record::{Meta, Record, StopCause};

use crate::error::{AgentError, tried};
use journal::Journal;

/// Below this size the journal is not rewritten.
const COMPACT_BYTES: u64 = 1024 * 1024;
/// How long a tombstone is kept at most.
const TOMBSTONE_MS: Millis = 7 * 24 * 3_600_000;
/// Tombstones that are kept at most.
const TOMBSTONES: usize = 100_000;

/// One lease as it is known on disk.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// What it is about.
    pub meta: Meta,
    /// Where it is.
    pub lease: DeskLease,
    /// The boot in which it came there.
    pub boot: String,
    /// Why it is to end.
    pub cause: Option<StopCause>,
    /// Processes that ended as they were about to start it.
    pub crashes: u32,
    /// A damaged spool may have held more of it: *never started* is not believed of it any more.
    pub doubted: bool,
    /// When it came there, by the wall clock.
    pub at: Timestamp,
    /// Bytes of its two current records.
    size: [u64; 2],
}

/// The journal with its fold.
#[derive(Debug)]
pub(crate) struct Spool {
    journal: Journal,
    held: BTreeMap<LeaseToken, Held>,
    /// Leases whose first record is not followed by a second yet.
    met: BTreeMap<LeaseToken, (Meta, u64)>,
    dials: u64,
    /// Whether the last record says that its process was told to end. An empty journal is nobody's.
    left: bool,
    live_bytes: u64,
}

impl Spool {
    /// Opens or makes it. A torn tail is cut off with a log line, damage before it is skipped with one; old tombstones are
    /// dropped.
    ///
    /// # Errors
    /// It cannot be read or written, or it is of another version.
    pub(crate) fn open(path: &Path, now: Timestamp) -> Result<Self, AgentError> {
        let (journal, read) = Journal::open(path)?;
        let mut spool = Self {
            journal,
            held: BTreeMap::new(),
            met: BTreeMap::new(),
            dials: 0,
            left: true,
            live_bytes: 0,
        };
        for payload in read.payloads {
            let record = serde_json::from_slice(&payload).map_err(|error| AgentError::Spool {
                path: path.to_owned(),
                why: error.to_string(),
            })?;
            spool.fold(record, Journal::framed(payload.len()));
        }
        let left = spool.left;
        spool.expire(now);
        spool.left = left;
        if read.damaged > 0 {
            spool.doubt();
        }
        // Damage would be met again at each start. And what a process that crashed had not flushed, or what the disk did not take and
        // the kernel calls written, is on the disk before anything is taken away because of it.
        if read.damaged > 0 || !left {
            // Where there is no room for a second one, this one stays.
            spool.journal.sync().map_err(tried("cannot flush the spool"))?;
            spool.compact().map_err(tried("cannot write the spool anew"))?;
        }
        Ok(spool)
    }

    /// All leases.
    pub(crate) const fn held(&self) -> &BTreeMap<LeaseToken, Held> {
        &self.held
    }

    /// The dial counter.
    pub(crate) const fn dials(&self) -> u64 {
        self.dials
    }

    /// Whether the process that wrote it last ended without being told to.
    pub(crate) const fn crashed(&self) -> bool {
        !self.left
    }

    /// Appends records in one write, which does not wait for the disk.
    ///
    /// # Errors
    /// After one nothing is known of the file's end: the agent must not go on.
    pub(crate) fn write(&mut self, records: Vec<Record>) -> io::Result<()> {
        let mut payloads = Vec::with_capacity(records.len());
        for record in &records {
            payloads.push(serde_json::to_vec(record)?);
        }
        self.journal.append(&payloads)?;
        for (record, payload) in records.into_iter().zip(&payloads) {
            self.fold(record, Journal::framed(payload.len()));
        }
        Ok(())
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    /// As [`Spool::write`].
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.journal.sync()?;
        let size = self.journal.size();
        // Here the caller expects to wait for the disk.
        if size > COMPACT_BYTES && size - self.live_bytes.min(size) > size / 2 {
            self.compact()?;
        }
        Ok(())
    }

    /// Whether there is room for results whatever becomes of the disk; tries to take more where it runs short.
    ///
    /// # Errors
    /// The file cannot be changed any more, for another reason than a full disk.
    pub(crate) fn reserve(&mut self) -> io::Result<bool> {
        self.journal.reserve()
    }

    /// Bytes in the file.
    pub(crate) const fn size(&self) -> u64 {
        self.journal.size()
    }

    fn fold(&mut self, record: Record, size: u64) {
        self.left = matches!(record, Record::Dial { left: true, .. });
        match record {
            Record::Dial { count, .. } => self.dials = self.dials.max(count),
            Record::Met { token, meta } => {
                self.live_bytes += size;
                self.met.insert(token, (meta, size));
            }
            Record::Lease {
                token,
                lease,
                boot,
                cause,
                crashes,
                doubted,
                at,
            } => {
                let before = self.held.remove(&token);
                // Written once, it holds for all that comes after.
                let doubted = doubted || before.as_ref().is_some_and(|held| held.doubted);
                let (meta, met_size, old) = match (self.met.remove(&token), before) {
                    (Some((meta, met)), _) => (meta, met, 0),
                    (None, Some(held)) => (held.meta, held.size[0], held.size[1]),
                    // Its first record is gone: a defect, which the lease's phase alone cannot make good.
                    (None, None) => {
                        tracing::error!(%token, "the spool does not say what a lease is about: it is not known here any more");
                        return;
                    }
                };
                let mut held = Held {
                    meta,
                    lease,
                    boot,
                    cause,
                    crashes,
                    doubted,
                    at,
                    size: [met_size, size],
                };
                self.live_bytes = self.live_bytes + size - old;
                if matches!(held.lease.phase, Phase::Finished { .. } | Phase::Tombstone) {
                    held.meta.work_json = String::new();
                }
                self.held.insert(token, held);
            }
            Record::Erase { token } => {
                if let Some(held) = self.held.remove(&token) {
                    self.live_bytes -= held.size[0] + held.size[1];
                }
            }
        }
    }

    /// What is lost may have been the intent to start, or an end whose traces are gone: of what is held as under way,
    /// nobody says any more that it never was.
    fn doubt(&mut self) {
        self.left = false;
        for held in self.held.values_mut() {
            match held.lease.phase {
                Phase::Accepted => held.lease.phase = Phase::Starting,
                Phase::Starting | Phase::Running => {}
                Phase::Finished { .. } | Phase::Tombstone => continue,
            }
            held.doubted = true;
        }
    }

    fn expire(&mut self, now: Timestamp) {
        let mut tombs: Vec<(Timestamp, LeaseToken)> = self
            .held
            .iter()
            .filter(|(_, held)| held.lease.phase == Phase::Tombstone)
            .map(|(token, held)| (held.at, token.clone()))
            .collect();
        tombs.sort();
        let surplus = tombs.len().saturating_sub(TOMBSTONES);
        let old: BTreeSet<LeaseToken> = tombs
            .into_iter()
            .enumerate()
            .filter(|(n, (at, _))| *n < surplus || now.since(*at) > TOMBSTONE_MS)
            .map(|(_, (_, token))| token)
            .collect();
        for token in old {
            // Not written: what is dropped here is dropped again at the next start.
            self.fold(Record::Erase { token }, 0);
        }
    }

    /// Writes what counts into a new file and puts it in the old one's place.
    fn compact(&mut self) -> io::Result<()> {
        let mut payloads = vec![serde_json::to_vec(&Record::Dial {
            count: self.dials,
            left: false,
        })?];
        let mut live = Journal::framed(payloads[0].len());
        for (token, held) in &mut self.held {
            let met = serde_json::to_vec(&Record::Met {
                token: token.clone(),
                meta: held.meta.clone(),
            })?;
            let lease = serde_json::to_vec(&Record::Lease {
                token: token.clone(),
                lease: held.lease.clone(),
                boot: held.boot.clone(),
                cause: held.cause.clone(),
                crashes: held.crashes,
                doubted: held.doubted,
                at: held.at,
            })?;
            held.size = [Journal::framed(met.len()), Journal::framed(lease.len())];
            live += held.size[0] + held.size[1];
            payloads.extend([met, lease]);
        }
        for (token, (meta, size)) in &mut self.met {
            let met = serde_json::to_vec(&Record::Met {
                token: token.clone(),
                meta: meta.clone(),
            })?;
            *size = Journal::framed(met.len());
            live += *size;
            payloads.push(met);
        }
        if self.journal.rewrite(&payloads)? {
            self.live_bytes = live;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
