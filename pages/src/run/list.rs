//! The steps as a list: filtered, counted, a page of it at a time.

use crate::{encode, parts::of_step};

/// A step in the list.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Its name for people, empty without one.
    pub name: String,
    /// What it does.
    pub what: String,
    /// The API's word.
    pub state: String,
    /// Why it is not succeeded.
    pub reasons: Vec<String>,
    /// What it waits for now, empty when it does not.
    pub waits_for: String,
    /// Unix milliseconds, 0 for not yet.
    pub started_at_ms: i64,
    /// Unix milliseconds, 0 for not yet.
    pub finished_at_ms: i64,
    /// Tries of all its items.
    pub attempts: u32,
    /// Of a fan-out: items that ended, and items in all.
    pub items: Option<(u32, u32)>,
    /// Whether its failure only degrades the run.
    pub allowed: bool,
    /// run_… from which it was taken over, else empty.
    pub reused_from: String,
}

/// A page of the list.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// `/runs/run_…`.
    pub base: String,
    /// Those of this page.
    pub rows: Vec<Row>,
    /// The API's words that occur, with how often.
    pub counts: Vec<(String, usize)>,
    /// Only of this state; empty: all.
    pub state: String,
    /// Only those that have this in key, name or doing; empty: all.
    pub q: String,
    /// From 1.
    pub page: usize,
    /// How many pages there are.
    pub pages: usize,
    /// Steps that fit the filter.
    pub matching: usize,
    /// Steps in all.
    pub total: usize,
}

impl Steps {
    /// Steps of one page.
    pub const PAGE: usize = 100;

    /// The list's address with another filter or page.
    pub(super) fn href(&self, state: &str, page: usize) -> String {
        let parts = [
            ("state", state.to_owned()),
            ("q", self.q.clone()),
            ("page", if page > 1 { page.to_string() } else { String::new() }),
        ];
        let parts: Vec<String> = (parts.iter())
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        let query = if parts.is_empty() {
            String::new()
        } else {
            format!("?{}", parts.join("&"))
        };
        format!("{}{query}#steps", self.base)
    }

    pub(super) fn here(&self, page: usize) -> String {
        self.href(&self.state, page)
    }

    pub(super) fn word<'a>(&self, state: &'a str) -> &'a str {
        of_step(state).0.word()
    }

    /// Whether there is anything to choose from.
    pub(super) fn filters(&self) -> bool {
        self.total > 8 || !self.state.is_empty() || !self.q.is_empty()
    }
}
