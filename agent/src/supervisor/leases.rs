//! How long each live attempt goes on without the server, by the boot-time clock.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use node::clock::Boot;
use serde::{Deserialize, Serialize};
use types::{LeaseToken, Millis, limits};

use crate::data_dir;

/// Heartbeats are never more frequent.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// An offer that comes within this after a heartbeat should have been answered is fresh. Together with the heartbeat it
/// is less than the server's margin (`limits::LEASE_MARGIN_MS`).
const FRESH_MS: Millis = 3_000;

/// A lease is at least this long, else a step with a short timeout would end between two heartbeats. The server's
/// margin (`limits::LEASE_MARGIN_MS`) is longer.
pub(super) const LEASE_MIN_MS: Millis = 2_000;

/// The lease of one attempt.
#[derive(Debug, Clone, Copy)]
struct Lease {
    base: Boot,
    goes: Millis,
    judged: bool,
}

/// The leases of all live attempts.
#[derive(Debug)]
pub(super) struct Leases {
    live: BTreeMap<LeaseToken, Lease>,
    heartbeat_ms: Millis,
    /// When the last request that was answered was sent.
    answered: Option<Boot>,
    file: PathBuf,
}

/// What is kept over a restart. It may be lost: then leases end earlier, never later.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    boot: String,
    renewed: BTreeMap<LeaseToken, Boot>,
}

impl Leases {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            live: BTreeMap::new(),
            heartbeat_ms: limits::HEARTBEAT_MS,
            answered: None,
            file,
        }
    }

    /// When each lease was renewed last before a restart, in this boot.
    pub(super) fn kept(&self, boot: &str) -> BTreeMap<LeaseToken, Boot> {
        let kept: Kept = std::fs::read(&self.file)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default();
        if kept.boot == boot {
            kept.renewed
        } else {
            BTreeMap::new()
        }
    }

    pub(super) fn set_heartbeat(&mut self, ms: Millis) {
        self.heartbeat_ms = ms.max(1);
    }

    pub(super) fn answered(&mut self, sent: Boot) {
        self.answered = self.answered.max(Some(sent));
    }

    /// Where the lease of an offer that comes now begins. It was made after the last answered request, but how long it
    /// lay about (in a process that was paused) nobody knows, unless the server was heard of just now.
    pub(super) fn base(&self, now: Boot) -> Boot {
        match self.answered {
            Some(sent) if now.since(sent) > self.heartbeat_ms + FRESH_MS => sent,
            _ => now,
        }
    }

    pub(super) fn insert(&mut self, token: LeaseToken, base: Boot, goes: Millis) {
        let goes = goes.max(LEASE_MIN_MS);
        let judged = false;
        self.live.insert(token, Lease { base, goes, judged });
    }

    /// It is over, and its end was told.
    pub(super) fn judge(&mut self, token: &LeaseToken) {
        if let Some(lease) = self.live.get_mut(token) {
            lease.judged = true;
        }
    }

    pub(super) fn remove(&mut self, token: &LeaseToken) {
        self.live.remove(token);
    }

    pub(super) fn tokens(&self) -> Vec<LeaseToken> {
        self.live.keys().cloned().collect()
    }

    /// A heartbeat sent then was answered.
    pub(super) fn renew(&mut self, tokens: &[LeaseToken], sent: Boot, boot: &str) {
        self.answered(sent);
        for token in tokens {
            if let Some(lease) = self.live.get_mut(token) {
                lease.base = lease.base.max(sent);
            }
        }
        if !self.live.is_empty() {
            let renewed = self
                .live
                .iter()
                .map(|(token, lease)| (token.clone(), lease.base))
                .collect();
            let json = serde_json::to_vec(&Kept {
                boot: boot.to_owned(),
                renewed,
            })
            .unwrap_or_default();
            if let Err(error) = data_dir::replace(&self.file, &json) {
                tracing::warn!(%error, "cannot note the renewal of leases: after a restart they end earlier");
            }
        }
    }

    /// Leases that are over and were not judged yet.
    pub(super) fn over(&mut self, now: Boot) -> Vec<LeaseToken> {
        let mut over = Vec::new();
        for (token, lease) in self.live.iter_mut().filter(|(_, lease)| !lease.judged) {
            if now >= lease.base.plus(lease.goes) {
                lease.judged = true;
                over.push(token.clone());
            }
        }
        over
    }

    /// When the next one is over.
    pub(super) fn next(&self) -> Option<Boot> {
        self.live
            .values()
            .filter(|lease| !lease.judged)
            .map(|lease| lease.base.plus(lease.goes))
            .min()
    }

    /// How often heartbeats are to come.
    pub(super) fn every(&self) -> Duration {
        let shortest = self
            .live
            .values()
            .filter(|lease| !lease.judged)
            .map(|lease| lease.goes / 3)
            .min();
        let ms = shortest.unwrap_or(Millis::MAX).min(self.heartbeat_ms);
        Duration::from_millis(ms).max(EVERY_MIN)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use types::Timestamp;

    use super::*;

    fn token(n: u8) -> LeaseToken {
        LeaseToken::new(Timestamp::from_unix_ms(1), [n; 10])
    }

    fn at(ms: Millis) -> Boot {
        Boot::default().plus(ms)
    }

    #[test]
    fn a_lease_counts_from_the_sending_and_is_judged_once() {
        let tmp = tempfile::tempdir().unwrap();
        let mut leases = Leases::new(tmp.path().join("renewed"));
        leases.insert(token(1), at(0), 60_000);
        leases.insert(token(2), at(0), 30_000);
        assert_eq!(leases.next(), Some(at(30_000)));
        leases.renew(&[token(2)], at(20_000), "boot");
        assert_eq!(leases.over(at(49_999)), []);
        assert_eq!(leases.over(at(50_000)), [token(2)]);
        assert_eq!(leases.over(at(59_999)), []);
        assert_eq!(leases.next(), Some(at(60_000)));
        let kept = Leases::new(tmp.path().join("renewed"));
        assert_eq!(kept.kept("boot")[&token(2)], at(20_000));
        assert!(kept.kept("another").is_empty());
    }

    #[test]
    fn heartbeats_suit_the_shortest_lease() {
        let mut leases = Leases::new(PathBuf::new());
        assert_eq!(leases.every(), Duration::from_secs(5));
        leases.insert(token(1), at(0), 3_000);
        assert_eq!(leases.every(), Duration::from_secs(1));
        leases.insert(token(1), at(0), 3);
        assert_eq!(leases.every(), Duration::from_millis(LEASE_MIN_MS / 3));
        leases.set_heartbeat(1);
        assert_eq!(leases.every(), EVERY_MIN);
    }

    #[test]
    fn an_offer_that_lay_about_counts_from_the_last_word_of_the_server() {
        let mut leases = Leases::new(PathBuf::new());
        leases.answered(at(1_000));
        assert_eq!(leases.base(at(9_000)), at(9_000));
        assert_eq!(leases.base(at(9_001)), at(1_000));
    }
}
