//! `/runs/{id}/steps/{key}`: one step with its tries, its items and what it left.

use askama::Template;
use proto::v1;

use super::{Head, Row};
use crate::{Shell, parts};

/// One step, or one item of its fan-out.
#[derive(Debug, Template)]
#[template(path = "run/step.html")]
pub struct StepPage {
    /// Around it.
    pub shell: Shell,
    /// Above it.
    pub head: Head,
    /// The step.
    pub step: Row,
    /// The steps before it, with the API's words for where they are.
    pub needs: Vec<(String, String)>,
    /// The steps behind it.
    pub dependents: Vec<(String, String)>,
    /// What the plan says of it: names and values for people.
    pub facts: Vec<Fact>,
    /// The item that is shown; absent for a step without a fan-out, and for the whole of one.
    pub item: Option<u32>,
    /// Items of this page of a fan-out.
    pub items: Vec<Item>,
    /// Of `items`: the page from 1, and how many there are.
    pub page: usize,
    /// See `page`.
    pub pages: usize,
    /// Only items of this state; empty: all.
    pub state: String,
    /// Items by the API's words.
    pub counts: Vec<(String, usize)>,
    /// Tries of the step or of the item, the first one first; of a whole fan-out none.
    pub attempts: Vec<v1::Attempt>,
    /// What the step or the item left.
    pub outputs: Vec<Output>,
    /// What it left as files.
    pub artifacts: Vec<Artifact>,
    /// How many of them are not listed.
    pub more_artifacts: usize,
}

/// A line of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub name: &'static str,
    /// What holds; may have several lines.
    pub value: String,
}

/// An item of a fan-out.
#[derive(Debug, Clone, Default)]
pub struct Item {
    /// From 0.
    pub index: u32,
    /// The API's word.
    pub state: String,
    /// Its value as JSON.
    pub value: String,
    /// Why it is not succeeded.
    pub reasons: Vec<String>,
    /// Its tries.
    pub attempts: u32,
    /// Where the last one ran, empty when none did.
    pub agent: String,
    /// Unix milliseconds, 0 for not yet.
    pub started_at_ms: i64,
    /// Unix milliseconds, 0 for not yet.
    pub finished_at_ms: i64,
    /// Of one that has ended with one try: how long that took by its agent's clock, else 0.
    pub duration_ms: u64,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its type as the language writes it.
    pub ty: String,
    /// Its value as JSON with indents.
    pub json: String,
}

/// Something that a step left as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it is got.
    pub at: String,
    /// Its name.
    pub name: String,
    /// The item that left it, in a fan-out.
    pub index: Option<u32>,
    /// The try that left it, from 1; 0 when it was taken over.
    pub attempt: u32,
    /// Its size.
    pub bytes: u64,
    /// What the step calls it.
    pub media_type: String,
    /// Of its bytes.
    pub sha256: String,
    /// When its bytes were removed, by the server's bounds.
    pub removed_at_ms: Option<i64>,
}

impl StepPage {
    /// Items of one page.
    pub const PAGE: usize = 50;

    fn base(&self) -> String {
        format!("{}/steps/{}", self.head.base(), self.step.key)
    }

    fn items_at(&self, state: &str, page: usize) -> String {
        let state = if state.is_empty() {
            String::new()
        } else {
            format!("state={}&", crate::encode(state))
        };
        format!("{}?{state}page={page}#items", self.base())
    }

    fn items_here(&self, page: usize) -> String {
        self.items_at(&self.state, page)
    }

    fn log(&self, attempt: &v1::Attempt) -> String {
        let index = attempt
            .index
            .map_or_else(String::new, |index| format!("&index={index}"));
        format!(
            "{}/logs?step={}{index}&attempt={}",
            self.head.base(),
            self.step.key,
            attempt.attempt
        )
    }

    /// Whether an attempt may have written a log.
    fn logs(&self, attempt: &v1::Attempt) -> bool {
        attempt.started_at_ms > 0 || attempt.finished_at_ms > 0
    }

    /// How long an attempt took by its agent's clock, or has taken.
    fn took(&self, attempt: &v1::Attempt) -> String {
        if attempt.duration_ms > 0 {
            return types::text::duration(attempt.duration_ms);
        }
        self.shell.lasted(&attempt.started_at_ms, &attempt.finished_at_ms)
    }

    fn item_took(&self, item: &Item) -> String {
        if item.duration_ms > 0 {
            return types::text::duration(item.duration_ms);
        }
        self.shell.lasted(&item.started_at_ms, &item.finished_at_ms)
    }

    fn word<'a>(&self, state: &'a str) -> &'a str {
        parts::of_step(state).0.word()
    }

    fn fan_out(&self) -> bool {
        self.step.items.is_some()
    }
}
