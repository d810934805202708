//! What is masked now: every value that this process has had of any secret, while it may still come out of a step.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};

use types::Secret;

use crate::mask::Masker;

/// Values of one secret that are remembered: with a rotation an hour, those of eight hours.
const VERSIONS: usize = 8;
/// Bytes of all values that are remembered beside the newest of each: their forms take about forty times that.
const OLD_BYTES: usize = 128 * 1024;

/// The masker as of now. What is newer than it masks more, so that a log that is sent again may lose bytes, never show
/// more.
pub(crate) struct Masks {
    inner: RwLock<Inner>,
}

struct Inner {
    known: BTreeMap<String, VecDeque<Secret>>,
    masker: Arc<Masker>,
}

impl Masks {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            known: BTreeMap::new(),
            masker: Arc::new(Masker::new([])),
        };
        Self {
            inner: RwLock::new(inner),
        }
    }

    /// The masker as of now.
    pub(crate) fn now(&self) -> Arc<Masker> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&inner.masker)
    }

    /// A value is about to be used.
    pub(crate) fn learn(&self, name: &str, secret: &Secret) {
        let is_known = |inner: &Inner| inner.known.get(name).is_some_and(|known| known.contains(secret));
        if is_known(&self.inner.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if is_known(&inner) {
            return;
        }
        let values = inner.known.entry(name.to_owned()).or_default();
        values.push_back(secret.clone());
        if values.len() > VERSIONS {
            values.pop_front();
        }
        inner.forget();
        inner.masker = Arc::new(Masker::new(inner.known.values().flatten()));
    }
}

impl Inner {
    /// Old values of the secrets that have most of them, until they fit.
    fn forget(&mut self) {
        let old = |values: &VecDeque<Secret>| -> usize {
            let old = values.iter().take(values.len().saturating_sub(1));
            old.map(|secret| secret.expose().len()).sum()
        };
        while self.known.values().map(old).sum::<usize>() > OLD_BYTES {
            let most = self.known.values_mut().max_by_key(|values| values.len());
            if most.and_then(VecDeque::pop_front).is_none() {
                return;
            }
        }
    }
}
