//! Starts that may be what ends this process. How often a process ended as it was about to start an attempt is on disk
//! before the next try; after [`limits::AGENT_CRASHES`] of them the attempt is given back, certainly never started.

use std::collections::{BTreeMap, VecDeque};

use protocol::{
    agent::{Input, Phase, Seen},
    ids::Action,
};
use types::{LeaseToken, limits};

use super::{Round, Supervisor};

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Processes that ended as they were about to start it.
    crashes: BTreeMap<LeaseToken, u32>,
    /// Those that are tried one after the other, so that the next crash has one cause.
    waiting: VecDeque<LeaseToken>,
    /// The one of them that is tried now.
    tried: Option<LeaseToken>,
    /// The one that the last process tried alone is found.
    counted: bool,
}

impl Suspects {
    pub(super) fn restore(crashes: impl Iterator<Item = (LeaseToken, u32)>) -> Self {
        Self {
            crashes: crashes.filter(|(_, times)| *times > 0).collect(),
            ..Self::default()
        }
    }

    pub(super) fn crashes(&self, token: &LeaseToken) -> u32 {
        self.crashes.get(token).copied().unwrap_or(0)
    }

    pub(super) fn forget(&mut self, token: &LeaseToken) {
        self.crashes.remove(token);
    }

    /// The last process ended without being told to while this start was about to be made, or was being made.
    fn found(&mut self, token: &LeaseToken) -> Suspicion {
        let before = self.crashes(token);
        // They come in the order in which they are tried alone: those behind the first only waited.
        if before > 1 && std::mem::replace(&mut self.counted, true) {
            self.waiting.push_back(token.clone());
            return Suspicion::Waited;
        }
        let times = before.saturating_add(1);
        self.crashes.insert(token.clone(), times);
        if times >= limits::AGENT_CRASHES {
            return Suspicion::GivenBack;
        }
        if times > 1 {
            self.waiting.push_back(token.clone());
            return Suspicion::Alone;
        }
        Suspicion::Again
    }

    /// Those that are to end, which wait for nothing; and the one that is tried next, once the one before is past its start.
    fn next(&mut self, start: impl Fn(&LeaseToken) -> Start) -> (Vec<LeaseToken>, Option<LeaseToken>) {
        let mut ending = Vec::new();
        self.waiting.retain(|token| match start(token) {
            Start::Due => true,
            Start::Past => false,
            Start::Ending => {
                ending.push(token.clone());
                false
            }
        });
        let tried = self.tried.as_ref().map_or(Start::Past, start);
        if tried != Start::Past {
            return (ending, None);
        }
        self.tried = self.waiting.pop_front();
        (ending, self.tried.clone())
    }
}

/// What is to become of a start that may be what ended the last process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    /// It is tried again, with the others.
    Again,
    /// It is tried again, alone.
    Alone,
    /// Another one was tried: it is no more suspect than before, and waits on.
    Waited,
    /// It ended the agent too often.
    GivenBack,
}

/// Where a start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Still to be made.
    Due,
    /// Still to be made, and not wanted any more.
    Ending,
    /// Made, or given up.
    Past,
}

impl Supervisor {
    /// The last process ended without being told to while this start was about to be made, or was being made.
    pub(super) fn suspect(&mut self, token: &LeaseToken, round: &mut Round) {
        let suspicion = self.suspects.found(token);
        if suspicion != Suspicion::Waited {
            self.note_again(token, round);
        }
        match suspicion {
            Suspicion::Again => self.never_started(token.clone(), round),
            Suspicion::Alone | Suspicion::Waited => {}
            Suspicion::GivenBack => {
                tracing::error!(
                    attempt = %self.shown(token), times = self.suspects.crashes(token),
                    "agent_crash: this agent ended each time it was about to start it; it is given back, never started"
                );
                self.tell(Input::Stop { token: token.clone() }, round);
                self.never_started(token.clone(), round);
            }
        }
    }

    /// Goes on with the next suspect once the one before it is past its start. One that is to end waits for nothing.
    pub(super) fn next_suspect(&mut self, round: &mut Round) {
        let leases = self.desk.leases();
        let (ending, tried) = self.suspects.next(|token| match leases.get(token) {
            Some(lease) if lease.phase != Phase::Starting => Start::Past,
            Some(lease) if lease.stopping => Start::Ending,
            Some(_) => Start::Due,
            None => Start::Past,
        });
        for token in ending {
            self.never_started(token, round);
        }
        if let Some(token) = tried {
            tracing::warn!(
                attempt = %self.shown(&token), crashes = self.suspects.crashes(&token),
                "this agent ended as it was about to start it; it is tried again, alone"
            );
            self.never_started(token, round);
        }
    }

    fn never_started(&mut self, token: LeaseToken, round: &mut Round) {
        let seen = Seen::NeverStarted;
        self.tell(Input::Recovered { token, seen }, round);
    }

    /// The count is on disk before the start is tried again.
    fn note_again(&self, token: &LeaseToken, round: &mut Round) {
        if let Some(lease) = self.desk.leases().get(token) {
            round.actions.push(Action::Persist {
                token: token.clone(),
                lease: lease.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use types::Timestamp;

    use super::*;

    fn token(n: u8) -> LeaseToken {
        LeaseToken::new(Timestamp::from_unix_ms(1), [n; 10])
    }

    /// The next process, which finds what the one before it noted.
    fn restarted(before: &Suspects) -> Suspects {
        Suspects::restore(before.crashes.clone().into_iter())
    }

    fn due(_: &LeaseToken) -> Start {
        Start::Due
    }

    /// Two attempts were about to start each time the process ended: both are tried again together once, then one after
    /// the other, and only the one that was tried alone is blamed.
    #[test]
    fn of_two_that_were_starting_only_the_one_that_was_tried_alone_is_given_back() {
        let (a, b) = (token(1), token(2));
        let mut first = Suspects::default();
        assert_eq!(first.found(&a), Suspicion::Again);
        assert_eq!(first.found(&b), Suspicion::Again);
        assert_eq!(first.next(due), (vec![], None), "nobody waits");

        let mut second = restarted(&first);
        assert_eq!(second.found(&a), Suspicion::Alone);
        assert_eq!(second.found(&b), Suspicion::Alone);
        assert_eq!(second.next(due), (vec![], Some(a.clone())));
        assert_eq!(second.next(due), (vec![], None), "a is not past its start");

        // It ends the process again.
        let mut third = restarted(&second);
        assert_eq!(third.found(&a), Suspicion::GivenBack);
        assert_eq!(third.found(&b), Suspicion::Waited);
        assert_eq!((third.crashes(&a), third.crashes(&b)), (3, 2));
        assert_eq!(third.next(due), (vec![], Some(b.clone())));
    }

    /// The first of two goes through and the second is what ends the process.
    #[test]
    fn the_second_is_found_when_the_first_goes_through() {
        let (a, b) = (token(1), token(2));
        let mut second = Suspects::restore([(a.clone(), 1), (b.clone(), 1)].into_iter());
        assert_eq!(second.found(&a), Suspicion::Alone);
        assert_eq!(second.found(&b), Suspicion::Alone);
        assert_eq!(second.next(due), (vec![], Some(a.clone())));
        let a_runs = |token: &LeaseToken| if *token == a { Start::Past } else { Start::Due };
        assert_eq!(second.next(a_runs), (vec![], Some(b.clone())));

        // a is not found starting any more.
        let mut third = restarted(&second);
        assert_eq!(third.found(&b), Suspicion::GivenBack);
        assert_eq!(third.crashes(&a), 2);
    }

    #[test]
    fn one_that_is_to_end_waits_for_nothing() {
        let (a, b) = (token(1), token(2));
        let mut suspects = Suspects::restore([(a.clone(), 1), (b.clone(), 1)].into_iter());
        assert_eq!(suspects.found(&a), Suspicion::Alone);
        assert_eq!(suspects.found(&b), Suspicion::Alone);
        assert_eq!(suspects.next(due), (vec![], Some(a.clone())));
        let b_ends = |token: &LeaseToken| if *token == b { Start::Ending } else { Start::Due };
        assert_eq!(suspects.next(b_ends), (vec![b.clone()], None));
        assert_eq!(suspects.next(b_ends), (vec![], None), "once");
        suspects.forget(&b);
        assert_eq!(suspects.crashes(&b), 0);
    }
}
