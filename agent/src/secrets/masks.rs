//! What is masked now: what steps hold that are not removed yet, and the last values of every secret.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};

use types::{LeaseToken, Secret};

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
    /// What attempts hold that are not removed yet, however many values their secrets have had since.
    held: BTreeMap<LeaseToken, Vec<Secret>>,
    masker: Arc<Masker>,
}

impl Masks {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            known: BTreeMap::new(),
            held: BTreeMap::new(),
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
        inner.renew();
    }

    /// An attempt is given these.
    pub(crate) fn hold<'a>(&self, token: &LeaseToken, secrets: impl IntoIterator<Item = &'a Secret>) {
        let held: Vec<Secret> = secrets.into_iter().cloned().collect();
        if held.is_empty() {
            return;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.held.insert(token.clone(), held);
        inner.renew();
    }

    /// Nothing of an attempt can come out any more.
    pub(crate) fn release(&self, token: &LeaseToken) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.held.remove(token).is_some() {
            inner.renew();
        }
    }
}

impl Inner {
    fn renew(&mut self) {
        let mut all: Vec<&Secret> = self.known.values().flatten().collect();
        for secret in self.held.values().flatten() {
            if !all.contains(&secret) {
                all.push(secret);
            }
        }
        self.masker = Arc::new(Masker::new(all));
    }

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
