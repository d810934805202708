//! The bytes of steps, masked, to the server: on a connection of their own, by offset, from the files that the runtime
//! writes. Nothing is held in memory but what is under way; a restart of either side goes on from what is
//! acknowledged.
//!
//! Offsets address the masked stream, which is a function of the file's bytes and the secrets, so it is kept nowhere:
//! the point (bytes of the file, offset) that is acknowledged is on disk, and all behind it is masked again when it is
//! sent again. Bytes that were dropped take their part of the offsets.
//!
//! Time alone loses nothing: logs stay until the server has them or refuses them. Those of attempts whose result is
//! acknowledged are bounded by what they take of the disk together (`[logs]` in agent.toml); beyond it the oldest are given
//! up, and the log says how many bytes that were.

mod shipper;
mod source;
mod stream;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::{
    Notify,
    mpsc::{self, error::TrySendError},
};
use types::{AttemptKey, LeaseToken};

pub(crate) use shipper::Shipper;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct StreamEnd {
    /// Bytes that are not in the file.
    pub dropped: u64,
    /// Where in the file they are missing.
    pub gap_at: Option<u64>,
    /// What wrote it was killed: bytes may be missing after those that are there, and nobody counted them.
    pub unknown: bool,
}

/// How the streams of an attempt ended: standard output and standard error of each source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ends {
    pub step: [StreamEnd; 2],
    /// By name.
    pub services: BTreeMap<String, [StreamEnd; 2]>,
}

/// What the shipper is told.
#[derive(Debug)]
enum Word {
    /// There is an attempt, which writes by itself (a container) or through [`Logs::grew`].
    Added {
        token: LeaseToken,
        key: AttemptKey,
        by_itself: bool,
        services: Vec<String>,
    },
    /// Nothing more is written.
    Finished { token: LeaseToken, ends: Ends },
    /// Its result is acknowledged: what its logs take of the disk is bounded from now on.
    Acknowledged { token: LeaseToken },
}

/// A handle to the shipper. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    words: mpsc::Sender<Word>,
    grew: Arc<Notify>,
}

impl Logs {
    /// `services` stand beside it, by name in order, and write by themselves.
    pub(crate) fn add(&self, token: &LeaseToken, key: &AttemptKey, by_itself: bool, services: Vec<String>) {
        self.say(Word::Added {
            token: token.clone(),
            key: key.clone(),
            by_itself,
            services,
        });
    }

    pub(crate) fn finished(&self, token: &LeaseToken, ends: Ends) {
        self.say(Word::Finished {
            token: token.clone(),
            ends,
        });
    }

    pub(crate) fn acknowledged(&self, token: &LeaseToken) {
        self.say(Word::Acknowledged { token: token.clone() });
    }

    /// Some file has more bytes.
    pub(crate) fn grew(&self) {
        self.grew.notify_one();
    }

    fn say(&self, word: Word) {
        match self.words.try_send(word) {
            // Without a shipper the agent is leaving; its successor finds the files.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(word)) => {
                tracing::error!(
                    ?word,
                    "the log shipper stands still; this attempt's logs stay on disk until the next start"
                );
            }
        }
    }
}
