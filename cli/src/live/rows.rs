//! The tree as rows: pure, from the folded run and an instant.

use sdk::live::{LiveItem, LiveRun, LiveState, LiveStep};
use types::{RunOutcome, StepOutcome, Timestamp};
use unicode_width::UnicodeWidthStr;

use crate::text;

/// What a piece of a row means; a terminal makes it a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Faint,
    Good,
    Warning,
    Bad,
    Busy,
    Strong,
}

impl Paint {
    /// The parameters of "select graphic rendition".
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Busy => "36",
            Self::Strong => "1",
        }
    }
}

/// A row: harmless pieces of text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Row(Vec<(Paint, String)>);

impl Row {
    /// One piece of text.
    pub(crate) fn plain(text: &str) -> Self {
        Self(Vec::new()).put(Paint::Plain, text)
    }

    fn new(indent: usize) -> Self {
        Self(vec![(Paint::Plain, " ".repeat(indent))])
    }

    fn put(mut self, paint: Paint, text: &str) -> Self {
        self.0.push((paint, text::line(text).into_owned()));
        self
    }

    /// Cut to a width; with escapes when coloured. And its width on the screen.
    pub(crate) fn render(&self, width: usize, coloured: bool) -> (String, usize) {
        let mut rendered = String::new();
        let mut used = 0;
        for (paint, piece) in &self.0 {
            let piece = text::fit(piece, width.saturating_sub(used));
            used += piece.width();
            if coloured && *paint != Paint::Plain && !piece.is_empty() {
                rendered.push_str(&format!("\u{1b}[{}m{piece}\u{1b}[0m", paint.code()));
            } else {
                rendered.push_str(&piece);
            }
            if used >= width {
                break;
            }
        }
        (rendered, used)
    }
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

/// The columns that a step's key gets.
fn key_columns(run: &LiveRun) -> usize {
    run.steps
        .iter()
        .map(|step| step.key.width())
        .max()
        .unwrap_or(0)
        .min(32)
}

/// Every row.
pub(crate) fn all(run: &LiveRun, now: Timestamp) -> Vec<Row> {
    tree(run, now, &|_| true)
}

/// As many rows as fit: items of steps that are well over go first, then the tail, which is counted.
pub(crate) fn at_most(run: &LiveRun, now: Timestamp, height: usize) -> Vec<Row> {
    let rows = all(run, now);
    if rows.len() <= height {
        return rows;
    }
    let mut rows = tree(run, now, &|step| !step.state.is_over());
    if rows.len() > height {
        let hidden = rows.len() - height + 1;
        rows.truncate(height.saturating_sub(1));
        rows.push(Row::new(2).put(Paint::Faint, &format!("… {hidden} more lines")));
    }
    rows
}

fn tree(run: &LiveRun, now: Timestamp, with_items: &dyn Fn(&LiveStep) -> bool) -> Vec<Row> {
    let mut rows = vec![head(run, now)];
    let columns = key_columns(run);
    for step in &run.steps {
        rows.push(step_row(step, columns, now));
        // With items, their own rows say why.
        let itemised = step.fans_out && !step.items.is_empty() && with_items(step);
        if itemised {
            let labels = step.items.iter().filter_map(|item| item.label.as_deref());
            let longest = labels
                .map(|label| text::fit(label, 40).width())
                .max()
                .unwrap_or(0);
            let columns = longest.max(columns.saturating_sub(2));
            rows.extend(step.items.iter().flat_map(|item| item_rows(item, columns, now)));
        } else {
            rows.extend(reasons(&step.reasons, 6));
            let open = step
                .items
                .iter()
                .filter(|item| !item.state.is_over() && !item.reasons.is_empty());
            rows.extend(open.flat_map(|item| reasons(&item.reasons, 6)));
        }
    }
    if let Some(end) = &run.ended {
        for reason in &end.reasons {
            let step = reason
                .step
                .as_deref()
                .map(|step| format!("{step}: "))
                .unwrap_or_default();
            rows.push(Row::new(2).put(outcome_paint(end.outcome), &format!("{step}{}", reason.message)));
        }
    }
    rows
}

fn head(run: &LiveRun, now: Timestamp) -> Row {
    let (word, paint) = match (&run.ended, &run.cancel) {
        (Some(end), _) => (end.outcome.as_str(), outcome_paint(end.outcome)),
        (None, Some(_)) => ("being cancelled", Paint::Warning),
        (None, None) if run.id.is_empty() => ("waiting for the history", Paint::Faint),
        (None, None) => ("running", Paint::Busy),
    };
    let end = run.ended.as_ref().map_or(now, |end| end.at);
    let elapsed = run
        .started_at
        .map(|start| text::duration(end.since(start)))
        .unwrap_or_default();
    Row::new(0)
        .put(Paint::Strong, &run.workflow)
        .put(Paint::Faint, &format!("  {}  ", run.id))
        .put(paint, word)
        .put(Paint::Plain, &format!("  {elapsed}"))
}

fn step_row(step: &LiveStep, columns: usize, now: Timestamp) -> Row {
    let (glyph, paint) = glyph(step.state);
    let took = match step.items.as_slice() {
        [only] if !step.fans_out => only.duration_ms.or_else(|| step.elapsed_ms(now)),
        _ => step.elapsed_ms(now),
    };
    let took = took.map(text::duration).unwrap_or_default();
    let agents = step.agents().join(", ");
    let again = step
        .items
        .iter()
        .map(|item| item.attempt)
        .max()
        .filter(|attempt| *attempt > 1);
    let again = again
        .map(|attempt| format!("  try {attempt}"))
        .unwrap_or_default();
    Row::new(2)
        .put(paint, glyph)
        .put(
            Paint::Plain,
            &format!(" {}  ", text::pad(&text::fit(&step.key, columns), columns)),
        )
        .put(paint, &text::pad(step.state.word(), 9))
        .put(Paint::Plain, &format!("  {}", text::pad(&took, 8)))
        .put(
            Paint::Faint,
            &format!(
                "  {}{}{agents}{again}",
                step.what,
                if agents.is_empty() { "" } else { " on " }
            ),
        )
}

fn item_rows(item: &LiveItem, columns: usize, now: Timestamp) -> Vec<Row> {
    let (glyph, paint) = glyph(item.state);
    let label = item.label.as_deref().unwrap_or("item");
    let running = (item.state == LiveState::Running)
        .then_some(item.started_at)
        .flatten();
    let took = item.duration_ms.or_else(|| running.map(|start| now.since(start)));
    let took = took.map(text::duration).unwrap_or_default();
    let agent = item
        .agent
        .as_deref()
        .map(|agent| format!("  on {agent}"))
        .unwrap_or_default();
    let row = Row::new(4)
        .put(paint, glyph)
        .put(
            Paint::Plain,
            &format!(" {}  ", text::pad(&text::fit(label, columns), columns)),
        )
        .put(paint, &text::pad(item.state.word(), 9))
        .put(Paint::Plain, &format!("  {}", text::pad(&took, 8)))
        .put(Paint::Faint, &agent);
    std::iter::once(row).chain(reasons(&item.reasons, 8)).collect()
}

fn reasons(reasons: &[String], indent: usize) -> impl Iterator<Item = Row> {
    reasons
        .iter()
        .map(move |reason| Row::new(indent).put(Paint::Warning, reason))
}
