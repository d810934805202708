//! `/runs/{id}/logs`: a log. The page is whole without scripts: some rows with links to those before and behind; a script
//! makes one long list of it that scrolls.

use askama::Template;
use serde_json::{Value, json};

use super::Head;
use crate::{Shell, log::Row, parts};

/// What is said where what wrote a log was killed.
pub const END_UNKNOWN: &str = "the end is not known: what wrote it was killed, so bytes may be missing here";

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogAddress {
    /// `/runs/run_…`.
    pub base: String,
    /// The step.
    pub step: String,
    /// The item of a fan-out.
    pub index: Option<u32>,
    /// The try, from 1.
    pub attempt: u32,
    /// `stdout` or `stderr`; of a service `service:db` or `service:db:stderr`.
    pub stream: String,
}

impl LogAddress {
    /// Its query.
    #[must_use]
    pub fn query(&self) -> String {
        let index = self
            .index
            .map_or_else(String::new, |index| format!("&index={index}"));
        format!(
            "step={}{index}&attempt={}&stream={}",
            self.step, self.attempt, self.stream
        )
    }

    fn href(&self) -> String {
        format!("{}/logs?{}", self.base, self.query())
    }
}

/// Another log to go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its name for people.
    pub name: String,
    /// Where it is.
    pub address: LogAddress,
    /// Whether it is the one that is shown.
    pub here: bool,
}

/// A row with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// What it shows.
    pub row: Row,
}

/// A log.
#[derive(Debug, Template)]
#[template(path = "run/log.html")]
pub struct Log {
    /// Around it.
    pub shell: Shell,
    /// Above it.
    pub head: Head,
    /// Which it is.
    pub address: LogAddress,
    /// The API's word for where its attempt is.
    pub state: String,
    /// Where it runs or ran.
    pub agent: String,
    /// The streams of the attempt, and its other tries.
    pub streams: Vec<Other>,
    /// See `streams`.
    pub tries: Vec<Other>,
    /// Rows that are shown without a script.
    pub lines: Vec<Line>,
    /// All rows.
    pub rows: u64,
    /// All bytes, those that were lost included.
    pub bytes: u64,
    /// Those that were lost.
    pub lost: u64,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether nobody knows if bytes are missing at its end.
    pub end_unknown: bool,
}

/// A run that has no log yet.
#[derive(Debug, Template)]
#[template(path = "run/nolog.html")]
pub struct NoLog {
    /// Around it.
    pub shell: Shell,
    /// Above it.
    pub head: Head,
}

impl Log {
    /// Rows that are shown without a script.
    pub const LINES: u64 = 500;

    fn first(&self) -> u64 {
        self.lines.first().map_or(1, |line| line.number)
    }

    fn last(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.number)
    }

    fn from(&self, number: u64) -> String {
        format!("{}&from={number}", self.address.href())
    }

    fn earlier(&self) -> String {
        self.from(self.first().saturating_sub(Self::LINES).max(1))
    }

    fn later(&self) -> String {
        self.from(self.last() + 1)
    }

    fn size(&self) -> String {
        let lines = if self.rows == 1 { "line" } else { "lines" };
        format!("{} {lines}, {}", grouped(self.rows), bytes(self.bytes))
    }
}

/// With a comma between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes for people.
fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{}.{} KiB", count / 1_024, count % 1_024 * 10 / 1_024),
        _ => format!("{}.{} MiB", count / 1_048_576, count % 1_048_576 * 10 / 1_048_576),
    }
}

/// Rows for the script: each a list of texts and classes by turns, or an object that says what is not there.
#[must_use]
pub fn lines(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        if row.lost > 0 {
            return json!({ "lost": row.lost });
        }
        let spans = row
            .spans
            .iter()
            .flat_map(|span| [span.text.clone(), span.style.classes()]);
        let spans: Vec<String> = spans.collect();
        if row.cut > 0 {
            return json!({ "spans": spans, "cut": row.cut });
        }
        json!(spans)
    };
    rows.iter().map(row).collect()
}
