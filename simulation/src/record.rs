//! What happened, line by line, by simulated time. Two runs of one seed have the same record.

use std::sync::{Arc, Mutex, PoisonError};

use types::{AttemptKey, LeaseToken, RunId};

use crate::machine;

/// One container that was really started, as the runtime saw it: the witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The lease that it was started under.
    pub token: LeaseToken,
    /// Of which attempt, by its environment.
    pub attempt: AttemptKey,
    /// Its exit code, once it ended by itself.
    pub code: Option<i32>,
    /// It was ended before.
    pub stopped: bool,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    starts: Vec<Start>,
    acknowledged: Vec<RunId>,
    faults: usize,
}

/// A handle to the record. Cheap to clone; outlives every simulated process.
#[derive(Debug, Clone, Default)]
pub struct Record(Arc<Mutex<Inner>>);

impl Record {
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A line.
    pub fn say(&self, who: &str, what: impl std::fmt::Display) {
        let at = machine::now().as_millis();
        self.change(|inner| inner.lines.push(format!("{at:>7} {who:<8} {what}")));
    }

    /// A fault.
    pub fn fault(&self, what: impl std::fmt::Display) {
        self.change(|inner| inner.faults += 1);
        self.say("fault", what);
    }

    /// A container was started.
    pub fn started(&self, host: &str, start: Start) {
        self.say(
            host,
            format_args!(
                "starts {} of {} ({})",
                start.attempt, start.attempt.run, start.token
            ),
        );
        self.change(|inner| inner.starts.push(start));
    }

    /// The newest container of that lease ended.
    pub fn ended(&self, host: &str, token: &LeaseToken, code: Option<i32>) {
        self.say(host, format_args!("ended {token}: {code:?}"));
        self.change(|inner| {
            if let Some(start) = inner.starts.iter_mut().rev().find(|start| start.token == *token) {
                (start.code, start.stopped) = (code, code.is_none());
            }
        });
    }

    /// A run was acknowledged to the user.
    pub fn acknowledged(&self, run: RunId) {
        self.say("user", format_args!("has {run}"));
        self.change(|inner| inner.acknowledged.push(run));
    }

    /// Every container that was started.
    #[must_use]
    pub fn starts(&self) -> Vec<Start> {
        self.change(|inner| inner.starts.clone())
    }

    /// The runs that the user was told of.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        self.change(|inner| inner.acknowledged.clone())
    }

    /// Faults so far.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.change(|inner| inner.faults)
    }

    /// All of it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.change(|inner| inner.lines.clone())
    }
}
