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
}

impl Supervisor {
    /// The last process ended without being told to while this start was about to be made, or was being made.
    pub(super) fn suspect(&mut self, token: &LeaseToken, round: &mut Round) {
        let before = self.suspects.crashes(token);
        // They come in the order in which they are tried alone: those behind the first only waited.
        if before > 1 && std::mem::replace(&mut self.suspects.counted, true) {
            self.suspects.waiting.push_back(token.clone());
            return;
        }
        let times = before.saturating_add(1);
        self.suspects.crashes.insert(token.clone(), times);
        self.note_again(token, round);
        if times >= limits::AGENT_CRASHES {
            tracing::error!(
                attempt = %self.shown(token), times,
                "agent_crash: this agent ended each time it was about to start it; it is given back, never started"
            );
            self.tell(Input::Stop { token: token.clone() }, round);
            self.never_started(token.clone(), round);
        } else if times > 1 {
            self.suspects.waiting.push_back(token.clone());
        } else {
            self.never_started(token.clone(), round);
        }
    }

    /// Goes on with the next suspect once the one before it is past its start. One that is to end waits for nothing.
    pub(super) fn next_suspect(&mut self, round: &mut Round) {
        for token in std::mem::take(&mut self.suspects.waiting) {
            match self.desk.leases().get(&token) {
                Some(lease) if lease.phase != Phase::Starting => {}
                Some(lease) if lease.stopping => self.never_started(token, round),
                Some(_) => self.suspects.waiting.push_back(token),
                None => {}
            }
        }
        let is_tried = self.suspects.tried.as_ref().is_some_and(|token| {
            let lease = self.desk.leases().get(token);
            lease.is_some_and(|lease| lease.phase == Phase::Starting)
        });
        if !is_tried {
            self.suspects.tried = self.suspects.waiting.pop_front();
            if let Some(token) = self.suspects.tried.clone() {
                tracing::warn!(
                    attempt = %self.shown(&token), crashes = self.suspects.crashes(&token),
                    "this agent ended as it was about to start it; it is tried again, alone"
                );
                self.never_started(token, round);
            }
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
