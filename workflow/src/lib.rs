//! The language: text → Spec (with spans) → Plan. Pure.

mod check;
mod code;
mod compile;
mod diagnostic;
mod eval;
mod expr;
mod graph;
mod plan;
mod reads;
mod render;
mod source;
mod spec;
mod template;
mod yaml;

pub use code::{Code, explain};
pub use compile::{Compiled, compile};
pub use diagnostic::{Diagnostic, Label, Severity, Span, Suggestion, to_json};
pub use eval::{EvalError, Expr, NeedsStatus, Scope, Template};
pub use plan::{Body, FanOut, Input, InputError, OnAlert, Plan, PlanStep};
pub use reads::Reads;
pub use render::render_text;
pub use source::SourceFile;

/// The known word nearest to a given one, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            // A word of one letter is near to every other such word.
            *distance <= (candidate.len().max(word.len()) / 3).max(1)
                && *distance < candidate.len().min(word.len()).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
