//! Which steps a cancel does not end: those whose `when` asks for `always()` or `cancelled()`, and holds. As on GitHub
//! Actions, a step that runs when the cancel comes is asked its `when` once more ("Workflow cancellation reference").

use types::Value;
use workflow::Expr;

use crate::decide::Decider;

/// Whether an expression calls `always()` or `cancelled()`. What stands in a text does not count.
pub(crate) fn asks(expr: &Expr) -> bool {
    let mut rest = expr.0.as_str();
    while let Some(first) = rest.chars().next() {
        if matches!(first, '\'' | '"') {
            rest = after_text(&rest[1..], first);
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if matches!(word, "always" | "cancelled") && after.trim_start().starts_with('(') {
                return true;
            }
            rest = after;
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    false
}

fn after_text(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return &text[at + 1..];
        }
        escaped = c == '\\' && !escaped;
    }
    ""
}

impl Decider<'_> {
    /// The steps that run now and go on although the run is being cancelled.
    pub(crate) fn spared(&self) -> Vec<String> {
        let goes_on = |i: &&usize| {
            let plan = &self.run.plan.steps[**i];
            let Some(when) = plan.when.as_ref().filter(|_| self.run.graph.tidies[**i]) else {
                return false;
            };
            let mut scope = self.run.scope(plan, self.now());
            scope.needs.cancelled = true;
            // One that has no value any more does not hold: the cancel is what was asked for.
            matches!(when.eval(&scope), Ok(Value::Bool(true)))
        };
        let active = self.run.active.iter().filter(goes_on);
        active.map(|&i| self.run.plan.steps[i].key.clone()).collect()
    }
}
