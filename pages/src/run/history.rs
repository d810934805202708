//! `/runs/{id}/history`: every event, a page at a time.

use askama::Template;

use super::Head;
use crate::{Shell, encode, parts};

/// A part of a run's history.
#[derive(Debug, Template)]
#[template(path = "run/history.html")]
pub struct History {
    /// Around it.
    pub shell: Shell,
    /// Above it.
    pub head: Head,
    /// Events, oldest first.
    pub entries: Vec<Entry>,
    /// Only of these kinds, `step.*` for all of a family; empty: all.
    pub kind: String,
    /// Only of this step; empty: all.
    pub step: String,
    /// The events are those after this seq.
    pub after: u64,
    /// Where the next page begins, when there may be one.
    pub next: Option<u64>,
    /// Families of kinds to choose from.
    pub families: &'static [&'static str],
}

/// An event.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Its place.
    pub seq: u64,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// What happened.
    pub kind: String,
    /// The step with item and try that it is about, empty where there is none.
    pub about: String,
    /// The step's key, empty where there is none.
    pub step: String,
    /// What matters of it in a few words; may be empty.
    pub told: String,
    /// Its body as JSON with indents, or the beginning of it.
    pub body: String,
    /// Bytes of the body that are not shown.
    pub cut: usize,
}

impl History {
    /// Events of one page.
    pub const PAGE: usize = 100;

    fn href(&self, kind: &str, after: u64) -> String {
        let mut query = format!("after={after}");
        for (name, value) in [("kind", kind), ("step", self.step.as_str())] {
            if !value.is_empty() {
                query.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        format!("{}/history?{query}", self.head.base())
    }

    fn page(&self, after: &u64) -> String {
        self.href(&self.kind, *after)
    }

    /// Where an event is found whatever the page shows now.
    fn at(&self, seq: &u64) -> String {
        format!(
            "{}/history?after={}#e{seq}",
            self.head.base(),
            seq.saturating_sub(1)
        )
    }

    fn clock(&self, at_ms: &i64) -> String {
        let iso = parts::iso(*at_ms);
        iso.get(11..23).unwrap_or_default().to_owned()
    }
}
