//! The book of leases: which attempt is out where, and until when its agent goes on without being heard.

use std::collections::HashMap;

use engine::At;
use proto::v1::AgentStats;
use types::{AgentId, LeaseToken, Millis, RunId, SessionId, Timestamp, limits};

use super::{Agent, Agents, Book};

/// What is noted of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) run: RunId,
    pub(crate) at: At,
    pub(crate) agent: AgentId,
    /// The session that it was offered in.
    pub(crate) session: SessionId,
    pub(crate) budget_ms: Millis,
    /// In doubt: it does not expire again, and its agent is not told to stop.
    pub(crate) lost: bool,
}

/// A lease that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leased {
    lease: Lease,
    renewed_ms: u64,
}

impl std::ops::Deref for Leased {
    type Target = Lease;
    fn deref(&self) -> &Lease {
        &self.lease
    }
}

/// All of them.
pub(super) type Leases = HashMap<LeaseToken, Leased>;

impl Book {
    /// Whether it is one of the agent's; then it is armed in full.
    pub(super) fn renew(&mut self, id: &AgentId, token: &LeaseToken, now: u64) -> bool {
        match self.leases.get_mut(token) {
            Some(leased) if leased.lease.agent == *id => {
                leased.renewed_ms = now;
                true
            }
            _ => false,
        }
    }

    pub(super) fn expired(&self, now: u64) -> Vec<(LeaseToken, Leased)> {
        let heard_since = self.listening.since(now);
        self.filtered(|leased| {
            let allowed = leased.budget_ms.saturating_add(limits::LEASE_MARGIN_MS);
            let armed = leased.renewed_ms.max(heard_since);
            !leased.lost && now >= armed.saturating_add(allowed)
        })
    }

    fn filtered(&self, wanted: impl Fn(&Leased) -> bool) -> Vec<(LeaseToken, Leased)> {
        let found = self.leases.iter().filter(|(_, leased)| wanted(leased));
        found
            .map(|(token, leased)| (token.clone(), leased.clone()))
            .collect()
    }
}

impl Agents {
    /// Renews leases; answers those that are not its own or not known, to be stopped.
    pub(crate) fn renew(
        &self,
        id: &AgentId,
        instance: &str,
        tokens: Vec<LeaseToken>,
        stats: Option<AgentStats>,
    ) -> Vec<LeaseToken> {
        let now = self.clock.monotonic_ms();
        let mut book = self.book();
        let heard_since = book.listening.since(now);
        let mut back = false;
        // Who was refused beside a session of another process does not keep that one connected.
        let of_another = |agent: &Agent| {
            agent
                .session
                .as_ref()
                .is_some_and(|one| one.is_of_another(instance))
        };
        if let Some(agent) = book.agents.get_mut(id).filter(|agent| !of_another(agent)) {
            back = agent.session.is_some() && !agent.is_connected(heard_since, now);
            agent.heartbeat_ms = now;
            agent.stats = stats;
            agent.last_seen = self.clock.now();
        }
        let strange = tokens
            .into_iter()
            .filter(|token| !book.renew(id, token, now))
            .collect();
        drop(book);
        if back {
            // Its session stood all the while: what waits may be offered to it again.
            self.touch();
        }
        strange
    }

    /// Notes a lease, armed in full.
    pub(crate) fn lease(&self, token: LeaseToken, lease: Lease) {
        let renewed_ms = self.clock.monotonic_ms();
        self.book().leases.insert(token, Leased { lease, renewed_ms });
    }

    /// In doubt: it does not expire again.
    pub(crate) fn lost(&self, token: &LeaseToken) {
        if let Some(leased) = self.book().leases.get_mut(token) {
            leased.lease.lost = true;
        }
    }

    /// Over.
    pub(crate) fn unlease(&self, token: &LeaseToken) {
        self.book().leases.remove(token);
    }

    /// Over, where the token is not known any more.
    pub(crate) fn unlease_attempt(&self, run: &RunId, at: &At) {
        let mut book = self.book();
        book.leases
            .retain(|_, leased| leased.lease.run != *run || leased.lease.at != *at);
    }

    /// Leases at an agent.
    pub(crate) fn leases_at(&self, id: &AgentId) -> Vec<(LeaseToken, Leased)> {
        self.filtered(|leased| leased.agent == *id)
    }

    /// Leases of a run.
    pub(crate) fn leases_of(&self, run: &RunId) -> Vec<(LeaseToken, Leased)> {
        self.filtered(|leased| leased.run == *run)
    }

    /// Says that the server is there, once a second; how long it stood still before that, if it did.
    pub(crate) fn look(&self) -> Option<Millis> {
        let now = self.clock.monotonic_ms();
        self.book().listening.look(now)
    }

    /// Since when the server has been there to hear its agents without a break.
    pub(crate) fn heard_since(&self) -> Timestamp {
        let now = self.clock.monotonic_ms();
        self.clock.at(self.book().listening.since(now))
    }

    /// Leases that ended a margin ago. After a pause of the server all begin anew in full, as at a start: it was not there to
    /// hear their renewals.
    pub(crate) fn expired(&self) -> Vec<(LeaseToken, Leased)> {
        let now = self.clock.monotonic_ms();
        self.book().expired(now)
    }

    fn filtered(&self, wanted: impl Fn(&Leased) -> bool) -> Vec<(LeaseToken, Leased)> {
        self.book().filtered(wanted)
    }
}
