//! Many schedules, some at once.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Deed, Outcome, Schedule, play};
use crate::ledger::{Ledger, Row};

/// Schedules of the seeds from `seed` on.
#[derive(Debug, Clone)]
pub struct Soak {
    /// The first seed.
    pub seed: u64,
    /// How many at most.
    pub schedules: u64,
    /// After this none is begun any more.
    pub within: Duration,
    /// How many at once.
    pub at_once: usize,
}

/// What came of it so far.
#[derive(Default)]
struct Sum {
    by_fault: BTreeMap<&'static str, Row>,
    settled: Vec<Duration>,
    /// Seeds whose schedules went wrong.
    wrong: Vec<u64>,
}

impl Soak {
    /// Plays them, prints a table, and answers the seeds that went wrong, each printed with its script.
    #[must_use]
    pub fn run(&self) -> Vec<u64> {
        let begun = Instant::now();
        let next = AtomicU64::new(0);
        let sum = Mutex::new(Sum::default());
        thread::scope(|scope| {
            for _ in 0..self.at_once {
                scope.spawn(|| {
                    while begun.elapsed() < self.within {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.schedules {
                            break;
                        }
                        let schedule = Schedule::of(self.seed + number);
                        let outcome = play(&schedule);
                        sum.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .add(&schedule, outcome);
                    }
                });
            }
        });
        sum.into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .told(self.seed, begun.elapsed())
    }
}

impl Sum {
    fn add(&mut self, schedule: &Schedule, outcome: Outcome) {
        let mut names: Vec<_> = schedule
            .script
            .iter()
            .filter_map(|(_, deed)| fault(deed))
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let sum = self.by_fault.entry(name).or_default();
            sum.runs += 1;
            sum.starts += outcome.row.starts;
            sum.lost += outcome.row.lost;
            sum.doubled += outcome.row.doubled;
            sum.unknown += outcome.row.unknown;
        }
        self.settled.push(outcome.settled);
        if !outcome.wrong.is_empty() {
            eprintln!("WRONG: {schedule}{:#?}", outcome.wrong);
            self.wrong.push(schedule.seed);
        }
    }

    fn told(mut self, seed: u64, took: Duration) -> Vec<u64> {
        self.settled.sort();
        let at = |percent: usize| {
            let at = self.settled.len().saturating_sub(1) * percent / 100;
            self.settled.get(at).map_or(0, Duration::as_millis)
        };
        let title = format!(
            "{} schedules from seed {seed} in {} s; from the mending to the run's end: p50 {} ms, p99 {} ms. A run counts for each of its faults; attempts are in doubt where a shim was killed.",
            self.settled.len(),
            took.as_secs(),
            at(50),
            at(99)
        );
        let mut ledger = Ledger::new(&title);
        for (fault, row) in std::mem::take(&mut self.by_fault) {
            ledger.add(fault, row);
        }
        self.wrong
    }
}

/// The fault as a row; what ends one is none.
const fn fault(deed: &Deed) -> Option<&'static str> {
    Some(match deed {
        Deed::KillServer => "kill -9 of the server",
        Deed::KillAgent(_) => "kill -9 of an agent",
        Deed::KillShim => "kill -9 of a shim",
        Deed::FreezeServer => "STOP of the server",
        Deed::FreezeAgent(_) => "STOP of an agent",
        Deed::Part(_) => "partition, both ways",
        Deed::StallUp(_) => "partition, agent to server",
        Deed::StallDown(_) => "partition, server to agent",
        Deed::Cut(_) => "cut",
        Deed::CutAfter(..) => "cut after N bytes",
        Deed::Twice(_) => "duplicated connections",
        Deed::Refuse(_) => "refused connections",
        Deed::Arm(_) => "kill -9 at a named point",
        Deed::Cancel => "cancel",
        Deed::StartServer | Deed::StartAgent(_) | Deed::ThawServer | Deed::ThawAgent(_) | Deed::Heal(_) => {
            return None;
        }
    })
}
