//! What makes two deliveries the same alert, and what makes them the same delivery.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use types::{Alert, AlertState, Millis, limits};

/// The longest key kept as text; a longer one is replaced by its hash.
const KEY_BYTES: usize = 256;

/// The identity of one delivery: the same key and state again within the window is a repeat and gets the
/// same ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The alert's key from trigger to recovery: the incident's key.
    pub key: String,
    /// The state in it.
    pub state: AlertState,
    /// How long after the last delivery of this key another one counts as the same episode.
    pub window_ms: Millis,
}

impl Delivery {
    /// Of an alert. `by_body` when the key is a mere hash of the body, which holds for ten minutes.
    pub(crate) fn of(alert: &Alert, by_body: bool) -> Self {
        Self {
            key: dedupe_key(alert),
            state: alert.state,
            window_ms: if by_body {
                limits::BODY_DEDUPE_MS
            } else {
                limits::IDEMPOTENCY_MS
            },
        }
    }

    /// As one text, for an index: `key|state`.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}|{}", self.key, self.state.as_str())
    }
}

/// The key that joins alerts into one incident: the source's own key where it has one, else the alert's id.
#[must_use]
pub fn dedupe_key(alert: &Alert) -> String {
    let key = alert
        .dedupe_key
        .clone()
        .unwrap_or_else(|| format!("{}:{}", alert.source, alert.id));
    bounded(key)
}

pub(crate) fn bounded(key: String) -> String {
    if key.len() <= KEY_BYTES {
        return key;
    }
    format!("sha256:{}", hash(key.as_bytes()))
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
