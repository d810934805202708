//! The log of calls: what was asked and how it ended, never the token nor an argument's text.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};

/// Calls kept; older ones are only counted.
const KEPT: usize = 20_000;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// The method, or `(unknown)`.
    pub method: &'static str,
    /// Milliseconds since the emulator started.
    pub at_ms: u64,
    /// The HTTP status; none when the connection was dropped.
    pub status: Option<u16>,
    /// The body's `ok`; none when there was no such body.
    pub ok: Option<bool>,
    /// The body's `error`.
    pub error: Option<String>,
    /// The kind of fault that hit it.
    pub fault: Option<&'static str>,
    /// The channel's id, when the call named a known one.
    pub channel: Option<String>,
}

/// All calls so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    counts: BTreeMap<&'static str, u64>,
    kept: VecDeque<Call>,
}

impl Calls {
    /// Adds one.
    pub(crate) fn add(&mut self, call: Call) {
        *self.counts.entry(call.method).or_default() += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(call);
    }

    /// Those kept, oldest first.
    pub(crate) fn list(&self) -> Vec<Call> {
        self.kept.iter().cloned().collect()
    }

    /// For the control API: counts by method, and the calls in order.
    pub(crate) fn json(&self) -> Value {
        json!({ "total": self.counts.values().sum::<u64>(), "by_method": self.counts, "calls": self.kept })
    }
}
