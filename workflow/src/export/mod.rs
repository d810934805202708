//! A plan's graph for others: as JSON, for Graphviz and for Mermaid. Pure; linear in the plan.

mod dag;
mod dot;
mod mermaid;
mod summary;
mod text;

pub use dag::dag;
pub use dot::dot;
pub use mermaid::mermaid;

use crate::{Plan, PlanStep};

/// The steps that a step waits for, in the definition's order, and whether it follows them.
fn depends<'a>(plan: &Index<'a>, step: &'a PlanStep) -> Vec<(&'a str, bool)> {
    let followed = step.followed().map(|key| (key.as_str(), true));
    let mut all: Vec<(&str, bool)> = step
        .needs
        .iter()
        .map(|key| (key.as_str(), false))
        .chain(followed)
        .collect();
    all.sort_by_key(|(key, _)| plan.place(key));
    all
}

/// Where each step stands in the definition.
struct Index<'a>(std::collections::HashMap<&'a str, usize>);

impl<'a> Index<'a> {
    fn new(plan: &'a Plan) -> Self {
        let places = plan.steps.iter().enumerate();
        Self(places.map(|(place, step)| (step.key.as_str(), place)).collect())
    }

    fn place(&self, key: &str) -> usize {
        self.0.get(key).copied().unwrap_or(usize::MAX)
    }
}
