//! What came in by each way, since this process began.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use types::Timestamp;

/// A refusal is kept cut to this many characters.
const REFUSAL_CHARS: usize = 500;

/// Of one way in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) last_accepted: Option<Timestamp>,
    pub(crate) last_refusal: String,
}

/// Of all ways in.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<String, Count>>);

impl Counts {
    fn with(&self, source: &str, change: impl FnOnce(&mut Count)) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(source.to_owned()).or_default());
    }

    /// One was taken.
    pub(crate) fn accepted(&self, source: &str, at: Timestamp) {
        self.with(source, |count| {
            count.accepted += 1;
            count.last_accepted = Some(at);
        });
    }

    /// One was not.
    pub(crate) fn refused(&self, source: &str, why: &str) {
        self.with(source, |count| {
            count.refused += 1;
            count.last_refusal = why.chars().take(REFUSAL_CHARS).collect();
        });
    }

    /// As of now.
    pub(crate) fn of(&self, source: &str) -> Count {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(source).cloned().unwrap_or_default()
    }
}
