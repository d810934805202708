//! The tree of a run: pure, from the folded run and an instant.

use std::collections::BTreeMap;

use sdk::live::{LiveItem, LiveRun, LiveState, LiveStep};
use types::{RunOutcome, StepOutcome, Timestamp};
use unicode_width::UnicodeWidthStr;

use super::{
    fit,
    rows::{Paint, Row},
};
use crate::text;

/// Reasons of a run's end that are shown.
const REASONS: usize = 20;
/// Columns for a key, and for what an item is about, at most.
const KEY_MOST: usize = 32;
const LABEL_MOST: usize = 40;
/// Columns for the longest word of a state.
const WORD: usize = 9;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) run: &'a LiveRun,
    pub(super) now: Timestamp,
    /// Why steps wait for an agent, by step, as the server last said.
    pub(super) waits: &'a BTreeMap<String, String>,
}

/// The glyph of a state; never alone, the word stands beside it.
const fn glyph(state: LiveState) -> (&'static str, Paint) {
    use StepOutcome as O;
    match state {
        LiveState::Waiting => ("·", Paint::Faint),
        LiveState::Queued | LiveState::Offered => ("○", Paint::Faint),
        LiveState::Running => ("▸", Paint::Busy),
        LiveState::Stopping => ("■", Paint::Warning),
        LiveState::InDoubt => ("?", Paint::Bad),
        LiveState::RetryWait => ("↻", Paint::Warning),
        LiveState::Ended(O::Succeeded) => ("✓", Paint::Good),
        LiveState::Ended(O::Degraded) => ("◐", Paint::Warning),
        LiveState::Ended(O::Skipped | O::NotRun) => ("-", Paint::Faint),
        LiveState::Ended(O::Omitted) => ("⊘", Paint::Bad),
        LiveState::Ended(O::Cancelled) => ("■", Paint::Warning),
        LiveState::Ended(O::Failed) => ("✗", Paint::Bad),
    }
}

const fn outcome_paint(outcome: RunOutcome) -> Paint {
    match outcome {
        RunOutcome::Succeeded => Paint::Good,
        RunOutcome::Degraded | RunOutcome::Cancelled => Paint::Warning,
        RunOutcome::Failed => Paint::Bad,
    }
}

/// A state's word where it has its own column.
const fn word(state: LiveState) -> &'static str {
    match state {
        LiveState::RetryWait => "retries",
        other => other.word(),
    }
}

impl Scene<'_> {
    /// The columns that a step's key gets.
    pub(super) fn key_columns(&self) -> usize {
        let keys = self.run.steps.iter().map(|step| step.key.width());
        keys.max().unwrap_or(0).min(KEY_MOST)
    }

    pub(super) fn head(&self) -> Row {
        let run = self.run;
        let (word, paint) = match (&run.ended, &run.cancel) {
            (Some(end), _) => (end.outcome.as_str(), outcome_paint(end.outcome)),
            (None, Some(_)) => ("being cancelled", Paint::Warning),
            (None, None) if run.id.is_empty() => ("waiting for the history", Paint::Faint),
            (None, None) => ("running", Paint::Busy),
        };
        let end = run.ended.as_ref().map_or(self.now, |end| end.at);
        let elapsed = run
            .started_at
            .map(|start| text::duration(end.since(start)))
            .unwrap_or_default();
        let over = run.steps.iter().filter(|step| step.state.is_over()).count();
        let progress = match run.steps.len() {
            0 => String::new(),
            _ if run.ended.is_some() => String::new(),
            all => format!("  {over} of {all} steps"),
        };
        Row::new(0)
            .put(Paint::Strong, &text::fit(&run.workflow, KEY_MOST))
            .put(paint, &format!("  {word}"))
            .put(Paint::Plain, &format!("  {elapsed}{progress}"))
            .put(Paint::Faint, &format!("  {}", run.id))
    }

    /// A step's rows: itself, then its items, at most so many, or its reasons.
    pub(super) fn step(&self, step: &LiveStep, columns: usize, most: usize) -> Vec<Row> {
        let mut rows = vec![self.step_row(step, columns)];
        if step.fans_out && !step.items.is_empty() {
            let labels = step.items.iter().filter_map(|item| item.label.as_deref());
            let longest = labels
                .map(|label| text::fit(label, LABEL_MOST).width())
                .max()
                .unwrap_or(0);
            let columns = longest.max(columns.saturating_sub(2));
            rows.extend(fit::items(self, step, columns, most));
            return rows;
        }
        rows.extend(reasons(&step.reasons, 6));
        let open = step
            .items
            .iter()
            .filter(|item| !item.state.is_over() && !item.reasons.is_empty());
        rows.extend(open.flat_map(|item| reasons(&item.reasons, 6)));
        rows.extend(self.wait(step));
        rows
    }

    /// Why a step waits for an agent, once the server has said so.
    pub(super) fn wait(&self, step: &LiveStep) -> Option<Row> {
        let why = self.waits.get(&step.key).filter(|_| waits_for_agent(step))?;
        Some(Row::new(6).put(Paint::Warning, why))
    }

    fn step_row(&self, step: &LiveStep, columns: usize) -> Row {
        let (glyph, paint) = glyph(step.state);
        let took = match step.items.as_slice() {
            [only] if !step.fans_out => self.retry(only).or_else(|| {
                only.duration_ms
                    .or_else(|| step.elapsed_ms(self.now))
                    .map(text::duration)
            }),
            _ => step.elapsed_ms(self.now).map(text::duration),
        };
        Row::new(2)
            .put(paint, glyph)
            .put(
                Paint::Plain,
                &format!(" {}  ", text::pad(&text::fit(&step.key, columns), columns)),
            )
            .put(paint, &text::pad(word(step.state), WORD))
            .put(
                Paint::Plain,
                &format!("  {}", text::pad(&took.unwrap_or_default(), 8)),
            )
            .put(Paint::Faint, &format!("  {}", self.remarks(step)))
    }

    /// What it does and where; what it waits for; how far it is.
    fn remarks(&self, step: &LiveStep) -> String {
        let mut remarks = step.what.clone();
        let agents = step.agents();
        match agents.as_slice() {
            [] => {}
            few if few.len() <= 3 => remarks.push_str(&format!(" on {}", few.join(", "))),
            many => remarks.push_str(&format!(" on {} agents", many.len())),
        }
        if step.state == LiveState::Waiting {
            let open = step.needs.iter().map(String::as_str);
            let open: Vec<&str> = open
                .filter(|need| self.run.step(need).is_some_and(|need| !need.state.is_over()))
                .collect();
            match open.as_slice() {
                [] => {}
                few if few.len() <= 3 => remarks.push_str(&format!("  after {}", few.join(", "))),
                [first, rest @ ..] => remarks.push_str(&format!("  after {first} and {} more", rest.len())),
            }
        }
        if step.fans_out && !step.items.is_empty() {
            let over = step.items.iter().filter(|item| item.state.is_over()).count();
            remarks.push_str(&format!("  {over} of {} items", step.items.len()));
        } else if let Some(again) = step
            .items
            .iter()
            .map(|item| item.attempt)
            .max()
            .filter(|try_| *try_ > 1)
        {
            remarks.push_str(&format!("  try {again}"));
        }
        if let Some(from) = &step.reused_from {
            remarks.push_str(&format!("  taken over from {from}"));
        }
        remarks
    }

    /// When the next try is due.
    fn retry(&self, item: &LiveItem) -> Option<String> {
        let due = item.retry_at.filter(|_| item.state == LiveState::RetryWait)?;
        Some(format!("in {}", text::duration(due.since(self.now))))
    }

    pub(super) fn item(&self, item: &LiveItem, columns: usize) -> Vec<Row> {
        let (glyph, paint) = glyph(item.state);
        let label = item.label.as_deref().unwrap_or("item");
        let running = (item.state == LiveState::Running)
            .then_some(item.started_at)
            .flatten();
        let took = item
            .duration_ms
            .or_else(|| running.map(|start| self.now.since(start)));
        let took = self
            .retry(item)
            .or_else(|| took.map(text::duration))
            .unwrap_or_default();
        let agent = item
            .agent
            .as_deref()
            .map(|agent| format!("  on {agent}"))
            .unwrap_or_default();
        let again = if item.attempt > 1 {
            format!("  try {}", item.attempt)
        } else {
            String::new()
        };
        let row = Row::new(4)
            .put(paint, glyph)
            .put(
                Paint::Plain,
                &format!(" {}  ", text::pad(&text::fit(label, columns), columns)),
            )
            .put(paint, &text::pad(word(item.state), WORD))
            .put(Paint::Plain, &format!("  {}", text::pad(&took, 8)))
            .put(Paint::Faint, &format!("{agent}{again}"));
        std::iter::once(row).chain(reasons(&item.reasons, 8)).collect()
    }

    /// Why the run ended as it did.
    pub(super) fn end(&self) -> Vec<Row> {
        let Some(end) = &self.run.ended else {
            return Vec::new();
        };
        let mut rows: Vec<Row> = end
            .reasons
            .iter()
            .take(REASONS)
            .map(|reason| {
                let step = reason
                    .step
                    .as_deref()
                    .map(|step| format!("{step}: "))
                    .unwrap_or_default();
                Row::new(2).put(outcome_paint(end.outcome), &format!("{step}{}", reason.message))
            })
            .collect();
        let more = end.reasons.len().saturating_sub(REASONS);
        if more > 0 {
            rows.push(Row::new(2).put(
                Paint::Faint,
                &format!("… {more} more reasons: `firehall show {}`", self.run.id),
            ));
        }
        rows
    }
}

/// Whether it or one of its items waits for an agent.
pub(super) fn waits_for_agent(step: &LiveStep) -> bool {
    step.items.iter().any(|item| item.state == LiveState::Queued)
}

fn reasons(reasons: &[String], indent: usize) -> impl Iterator<Item = Row> {
    reasons
        .iter()
        .map(move |reason| Row::new(indent).put(Paint::Warning, reason))
}
