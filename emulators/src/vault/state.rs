//! What the emulator holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use super::Config;

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its path, without the query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
}

pub(super) struct State {
    pub(super) config: Config,
    live: Mutex<Live>,
}

#[derive(Default)]
pub(super) struct Live {
    pub(super) secret_id: String,
    pub(super) tokens: BTreeMap<String, Token>,
    /// Versions of each secret, oldest first; none for one that is deleted.
    pub(super) secrets: BTreeMap<String, Vec<Option<Map<String, Value>>>>,
    pub(super) denied: BTreeSet<String>,
    pub(super) sealed: bool,
    pub(super) faults: Option<(u16, u32)>,
    pub(super) calls: Vec<Call>,
    made: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) born: Instant,
    pub(super) ends: Instant,
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        let live = Live {
            secret_id: config.secret_id.clone(),
            ..Live::default()
        };
        Self {
            config,
            live: Mutex::new(live),
        }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, path: &str, data: Option<Map<String, Value>>) {
        self.live().secrets.entry(path.to_owned()).or_default().push(data);
    }

    /// A new token and its time.
    pub(super) fn issue(&self) -> (String, Duration) {
        let mut live = self.live();
        live.made += 1;
        let token = format!("hvs.for-tests-{:08}", live.made);
        let now = Instant::now();
        let life = self.config.token_ttl.min(self.config.token_max_ttl);
        live.tokens.insert(
            token.clone(),
            Token {
                born: now,
                ends: now + life,
            },
        );
        (token, life)
    }

    /// More time for a token, as far as its longest life goes; none when it is not, or not any more.
    pub(super) fn renew(&self, token: &str) -> Option<Duration> {
        let now = Instant::now();
        let mut live = self.live();
        let held = live.tokens.get_mut(token).filter(|held| held.ends > now)?;
        held.ends = (now + self.config.token_ttl).min(held.born + self.config.token_max_ttl);
        Some(held.ends.saturating_duration_since(now))
    }

    pub(super) fn is_valid(&self, token: &str) -> bool {
        self.live()
            .tokens
            .get(token)
            .is_some_and(|held| held.ends > Instant::now())
    }
}
