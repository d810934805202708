//! A run as a watcher sees it, folded from its events.

mod fold;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use types::{RunOutcome, StepOutcome, Timestamp};

use crate::Reason;

/// A run, folded so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LiveRun {
    /// `run_…`; empty before the first event.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// Its steps, in the plan's order.
    pub steps: Vec<LiveStep>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Whether somebody asked for its end: who and why.
    pub cancel: Option<(String, String)>,
    /// Its end.
    pub ended: Option<LiveEnd>,
    /// Events folded.
    pub seq: u64,
    /// Where each step stands in `steps`: a run may have ten thousand.
    places: HashMap<String, usize>,
}

/// A run's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEnd {
    /// How.
    pub outcome: RunOutcome,
    /// Why not succeeded.
    pub reasons: Vec<Reason>,
    /// When.
    pub at: Timestamp,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveStep {
    /// Its key.
    pub key: String,
    /// What it does.
    pub what: String,
    /// The steps that it waits for.
    pub needs: BTreeSet<String>,
    /// Whether it has items.
    pub fans_out: bool,
    /// Where it is.
    pub state: LiveState,
    /// Its items; one without a fan-out.
    pub items: Vec<LiveItem>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Why not succeeded.
    pub reasons: Vec<String>,
    /// The run whose outputs it took over instead of running.
    pub reused_from: Option<String>,
}

/// An item of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveItem {
    /// What it is about: its value when that is a text or a number, or what it is a batch of. Untrusted.
    pub label: Option<String>,
    /// Where it is.
    pub state: LiveState,
    /// The try, from 1; 0 before the first.
    pub attempt: u32,
    /// Where it was offered last.
    pub agent: Option<String>,
    /// When its try began.
    pub started_at: Option<Timestamp>,
    /// When its next try is due, while it waits for that.
    pub retry_at: Option<Timestamp>,
    /// By the agent's clock, once its try has ended.
    pub duration_ms: Option<u64>,
    /// Why not succeeded.
    pub reasons: Vec<String>,
}

/// Where a step or an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveState {
    /// For its needs.
    Waiting,
    /// For an agent.
    Queued,
    /// On its way to an agent.
    Offered,
    /// It runs.
    Running,
    /// Asked to stop.
    Stopping,
    /// It may have run.
    InDoubt,
    /// For its next try.
    RetryWait,
    /// Over.
    Ended(StepOutcome),
}

impl LiveState {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Offered => "offered",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::InDoubt => "in doubt",
            Self::RetryWait => "waits to retry",
            Self::Ended(outcome) => match outcome {
                StepOutcome::NotRun => "not run",
                other => other.as_str(),
            },
        }
    }

    /// Whether nothing more is expected.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl LiveRun {
    /// A step by its key.
    #[must_use]
    pub fn step(&self, key: &str) -> Option<&LiveStep> {
        self.steps.get(*self.places.get(key)?)
    }
}

impl LiveStep {
    /// Milliseconds from its begin to its end, or to `now`.
    #[must_use]
    pub fn elapsed_ms(&self, now: Timestamp) -> Option<u64> {
        Some(self.ended_at.unwrap_or(now).since(self.started_at?))
    }

    /// The agents that it ran on, in the items' order, without repeats.
    #[must_use]
    pub fn agents(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.items.iter().filter_map(|item| item.agent.as_deref()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

impl LiveItem {
    fn new(label: Option<String>) -> Self {
        Self {
            label,
            state: LiveState::Waiting,
            attempt: 0,
            agent: None,
            started_at: None,
            retry_at: None,
            duration_ms: None,
            reasons: Vec::new(),
        }
    }
}
