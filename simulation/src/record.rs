//! What happened, line by line, by simulated time. Two runs of one seed have the same record.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use types::{AttemptKey, LeaseToken, RunId};

use crate::machine;

/// One container that was really started, as the runtime saw it: the witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Where.
    pub host: &'static str,
    /// The lease that it was started under.
    pub token: LeaseToken,
    /// Of which attempt, by its environment.
    pub attempt: AttemptKey,
    /// Its exit code, once it ended by itself.
    pub code: Option<i32>,
    /// It was ended before.
    pub stopped: bool,
    /// The sum of the file that it got.
    pub got: Option<String>,
    /// What it left.
    pub left: Option<Left>,
}

/// An artifact, as the witness saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// How many bytes.
    pub bytes: u64,
    /// Their sum.
    pub sum: String,
}

/// Something was wrong with a host or with its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub host: &'static str,
    /// From then on.
    pub from: Duration,
    /// Until then.
    pub until: Duration,
}

/// The server called an attempt lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Its lease.
    pub token: LeaseToken,
    /// Its step.
    pub step: String,
    /// When.
    pub at: Duration,
    /// How long the server had been there then without a break, by its own clock.
    pub listened: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    starts: Vec<Start>,
    acknowledged: Vec<RunId>,
    faults: usize,
    troubles: Vec<Trouble>,
    doubts: Vec<Doubt>,
    listens_since: Duration,
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
        let at = machine::elapsed().as_millis();
        self.change(|inner| inner.lines.push(format!("{at:>7} {who:<8} {what}")));
    }

    /// A fault.
    pub fn fault(&self, what: impl std::fmt::Display) {
        self.change(|inner| inner.faults += 1);
        self.say("fault", what);
    }

    /// A host or its link is in trouble from now on.
    pub fn trouble(&self, host: &'static str, until: Duration) {
        let from = machine::elapsed();
        self.change(|inner| inner.troubles.push(Trouble { host, from, until }));
    }

    /// The server is there from now on, by its own clock.
    pub fn listens(&self) {
        self.change(|inner| inner.listens_since = machine::now());
    }

    /// The server called it lost just now.
    pub fn lost(&self, token: &LeaseToken, step: &str) {
        self.change(|inner| {
            inner.doubts.push(Doubt {
                token: token.clone(),
                step: step.to_owned(),
                at: machine::elapsed(),
                listened: machine::now().saturating_sub(inner.listens_since),
            });
        });
    }

    /// A container was started.
    pub fn started(&self, start: Start) {
        self.say(
            start.host,
            format_args!(
                "starts {} of {} ({})",
                start.attempt, start.attempt.run, start.token
            ),
        );
        self.change(|inner| inner.starts.push(start));
    }

    /// The newest container of that lease ended.
    pub fn ended(&self, host: &str, token: &LeaseToken, code: Option<i32>, left: Option<Left>) {
        self.say(host, format_args!("ended {token}: {code:?}"));
        self.change(|inner| {
            if let Some(start) = inner.starts.iter_mut().rev().find(|start| start.token == *token) {
                (start.code, start.stopped, start.left) = (code, code.is_none(), left);
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

    /// All that was wrong with hosts and links.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.change(|inner| inner.troubles.clone())
    }

    /// Every attempt that the server called lost.
    #[must_use]
    pub fn doubts(&self) -> Vec<Doubt> {
        self.change(|inner| inner.doubts.clone())
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
