//! One form for worlds that differ only in names: sessions are renumbered by rank, and truth that nothing can be
//! compared with any more is let go. Without it the space would be endless, for a session is never used twice.

use std::collections::BTreeSet;

use protocol::agent::{Action, Desk, Input, Message, Phase};
use protocol::server::{Attempt, Known, Lease, State};
use protocol::session::Gate;

use crate::model::{AgentSide, Config, Container, ServerAttempt, Session, Token, Wire, World};

impl World {
    /// For a world with one agent (sessions of two agents would be ranked together, which is safe but larger).
    pub(crate) fn canonical(mut self, config: &Config) -> Self {
        let open: BTreeSet<_> = self
            .steps
            .iter()
            .filter(|step| !step.attempt.is_over())
            .filter_map(|step| step.attempt.lease().map(|lease| (lease.agent, lease.token)))
            .collect();
        let agents = &self.agents;
        self.containers.retain(|key, container| match container {
            Container::Running | Container::Exited(_) => true,
            Container::Removed(_) => open.contains(key) || is_live(&agents[usize::from(key.0)], key.1),
            Container::Vanished => is_live(&agents[usize::from(key.0)], key.1),
        });
        if config.mutation.is_none() {
            let mut net = std::mem::take(&mut self.net);
            net.retain(|(agent, wire)| !self.is_dead(*agent, wire));
            self.net = net;
        }
        let ranks: Vec<Session> = self.sessions().into_iter().collect();
        let is_ranked = (0..).zip(&ranks).all(|(n, session)| n == *session);
        let bound = self
            .bound_sessions()
            .all(|session| ranks.binary_search(&session).is_ok());
        if is_ranked && bound {
            return self;
        }
        let rank = |session: Session| ranks.binary_search(&session).map_or(0, |at| at as Session);
        for step in &mut self.steps {
            step.attempt = renumbered(&step.attempt, rank);
        }
        for agent in &mut self.agents {
            agent.live = agent.live.map(rank);
            agent.gate = Gate::at(rank(agent.gate.last()));
            agent
                .disk
                .values_mut()
                .for_each(|lease| lease.session = rank(lease.session));
            for action in &mut agent.pending {
                if let Action::Persist { lease, .. } = action {
                    lease.session = rank(lease.session);
                }
            }
            let mut leases = agent.desk.leases().clone();
            leases
                .values_mut()
                .for_each(|lease| lease.session = rank(lease.session));
            let mut desk = Desk::restore(config.slots, rank(agent.desk.dial_count()), leases);
            if let Some(session) = agent.desk.session() {
                let _said = desk.on(Input::Opened(rank(*session)));
            }
            agent.desk = desk;
        }
        for (_, wire) in &mut self.net {
            match wire {
                Wire::Hello { dial, .. } => *dial = rank(*dial),
                Wire::Welcome(session) | Wire::Offer(_, session) => *session = rank(*session),
                _ => {}
            }
        }
        self
    }

    /// A message that changes nothing any more, whenever it comes: as good as lost.
    fn is_dead(&self, agent: u8, wire: &Wire) -> bool {
        let side = &self.agents[usize::from(agent)];
        let desk = &side.desk;
        let over = |token: &Token| {
            side.disk
                .get(token)
                .is_some_and(|lease| lease.phase == Phase::Tombstone)
        };
        match wire {
            Wire::Hello { dial, .. } => *dial <= side.gate.last(),
            Wire::Welcome(dial) => *dial != desk.dial_count() || desk.session().is_some(),
            Wire::Offer(token, session) => *session != desk.dial_count() || over(token),
            Wire::Ack(token) | Wire::Stop(token) => over(token),
            Wire::Forget(_) => false,
            Wire::Report { token, report } => {
                let attempt = &self.steps[usize::from(token.step)].attempt;
                self.is_current(*token)
                    && match (attempt.state(), report) {
                        (State::Out { known, .. } | State::Lost { known, .. }, Message::Accepted) => {
                            *known >= Known::Accepted && !attempt.is_stopping()
                        }
                        (State::Out { known, .. } | State::Lost { known, .. }, Message::Started) => {
                            *known >= Known::Started && !attempt.is_stopping()
                        }
                        (State::Finished { .. }, Message::Ended(_)) => over(token),
                        (State::Finished { .. }, _) => true,
                        _ => false,
                    }
            }
        }
    }

    /// Those that leases are bound to.
    fn bound_sessions(&self) -> impl Iterator<Item = Session> {
        let of_server = self
            .steps
            .iter()
            .filter_map(|step| step.attempt.lease().map(|lease| lease.session));
        let of_agents = self.agents.iter().flat_map(|agent| {
            let pending = agent.pending.iter().filter_map(|action| match action {
                Action::Persist { lease, .. } => Some(lease.session),
                _ => None,
            });
            pending.chain(
                agent
                    .disk
                    .values()
                    .chain(agent.desk.leases().values())
                    .map(|lease| lease.session),
            )
        });
        of_server.chain(of_agents)
    }

    /// Those that can still be opened, closed or compared for order. All others are as good as 0: they only have
    /// to differ from whatever is opened next.
    fn sessions(&self) -> BTreeSet<Session> {
        let mut all = BTreeSet::from([0]);
        for agent in &self.agents {
            all.extend([agent.desk.dial_count(), agent.gate.last()]);
            all.extend(agent.live);
            all.extend(agent.desk.session());
        }
        all.extend(self.net.iter().filter_map(|(_, wire)| match wire {
            Wire::Hello { dial, .. } => Some(*dial),
            Wire::Welcome(session) | Wire::Offer(_, session) => Some(*session),
            _ => None,
        }));
        all
    }
}

fn is_live(agent: &AgentSide, token: Token) -> bool {
    agent
        .disk
        .get(&token)
        .is_some_and(|lease| lease.phase != Phase::Tombstone)
}

fn renumbered(attempt: &ServerAttempt, rank: impl Fn(Session) -> Session) -> ServerAttempt {
    let ranked = |lease: &Lease<_, _, Session>| Lease {
        session: rank(lease.session),
        ..lease.clone()
    };
    let state = match attempt.state() {
        State::Queued => State::Queued,
        State::Withdrawn => State::Withdrawn,
        State::Out { lease, known } => State::Out {
            lease: ranked(lease),
            known: *known,
        },
        State::Lost { lease, known } => State::Lost {
            lease: ranked(lease),
            known: *known,
        },
        State::Finished { lease } => State::Finished { lease: ranked(lease) },
        State::Settled { lease, resolution } => State::Settled {
            lease: ranked(lease),
            resolution: *resolution,
        },
    };
    Attempt::restore(state, attempt.is_stopping())
}
