//! What may happen next in a world.

use protocol::agent::{Input, Phase};
use protocol::server::{self, State};
use protocol::{Held, Resolution};

use crate::model::{Agent, AgentSide, Checked, Config, Container, DONE, ServerLease, Token, Wire, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// The agent carries out its next action.
    Act(Agent),
    Crash(Agent),
    Reboot(Agent),
    /// The connection breaks, where there is one, and the agent dials.
    Dial(Agent),
    Ready(Agent, Token),
    SeeStarted(Agent, Token),
    SeeExit(Agent, Token),
    LeaseEnds(Agent, Token),
    /// A container ends by itself.
    Exit(Agent, Token),
    Offer(usize, Agent),
    Expire(usize),
    Resolve(usize, Resolution),
    StopAll,
    ServerCrash,
    Deliver(usize),
    Duplicate(usize),
    Drop(usize),
}

impl Move {
    /// Whether it is a fault, a stop or a decision: what a quiet world does without.
    pub(crate) const fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Crash(_)
                | Self::Reboot(_)
                | Self::ServerCrash
                | Self::Duplicate(_)
                | Self::Drop(_)
                | Self::StopAll
                | Self::Expire(_)
                | Self::LeaseEnds(..)
        )
    }
}

impl World {
    pub(crate) fn moves(&self, config: &Config) -> Vec<Move> {
        let mut moves = Vec::new();
        for (agent, side) in (0..).zip(&self.agents) {
            if self.crashes > 0 && (!side.disk.is_empty() || side.desk.session().is_some()) {
                moves.push(Move::Crash(agent));
            }
            if self.reboots > 0 && !side.disk.is_empty() {
                moves.push(Move::Reboot(agent));
            }
            if side.pending.is_empty() {
                self.agent_moves(config, agent, &mut moves);
            } else {
                moves.push(Move::Act(agent));
            }
        }
        for ((agent, token), container) in &self.containers {
            if *container == Container::Running {
                moves.push(Move::Exit(*agent, *token));
            }
        }
        self.server_moves(config, &mut moves);
        self.network_moves(&mut moves);
        moves
    }

    fn agent_moves(&self, config: &Config, agent: Agent, moves: &mut Vec<Move>) {
        let side = &self.agents[usize::from(agent)];
        let last = side.desk.dial_count();
        let is_asked = self.net.iter().any(|(of, wire)| {
            *of == agent
                && match wire {
                    Wire::Hello { dial, .. } => *dial == last && *dial > side.gate.last(),
                    Wire::Welcome(dial) => *dial == last && side.desk.session().is_none(),
                    _ => false,
                }
        });
        if config.full || !is_asked {
            moves.push(Move::Dial(agent));
        }
        for (token, lease) in self.agents[usize::from(agent)].desk.leases() {
            let container = self.containers.get(&(agent, *token));
            let runs = matches!(lease.phase, Phase::Starting | Phase::Running);
            match (&lease.phase, container) {
                (Phase::Accepted, _) => moves.push(Move::Ready(agent, *token)),
                (Phase::Starting, Some(_)) => moves.push(Move::SeeStarted(agent, *token)),
                _ => {}
            }
            if runs && matches!(container, Some(Container::Exited(_))) {
                moves.push(Move::SeeExit(agent, *token));
            }
            if config.agents_expire && !lease.stopping && (runs || lease.phase == Phase::Accepted) {
                moves.push(Move::LeaseEnds(agent, *token));
            }
        }
    }

    fn server_moves(&self, config: &Config, moves: &mut Vec<Move>) {
        for (step, side) in self.steps.iter().enumerate() {
            match side.attempt.state() {
                State::Queued
                    if config.needs[step]
                        .iter()
                        .all(|need| self.success(*need) == Some(true)) =>
                {
                    // Tombstones of returned tokens would pile up without end; each waits for its Forget first.
                    let has_room = |agent: &AgentSide| {
                        let of_attempt = agent
                            .disk
                            .keys()
                            .filter(|t| usize::from(t.step) == step && t.attempt == side.number);
                        config.full || of_attempt.count() < config.records
                    };
                    let live = (0..)
                        .zip(&self.agents)
                        .filter(|(_, a)| a.live.is_some() && has_room(a));
                    moves.extend(live.map(|(agent, _)| Move::Offer(step, agent)));
                }
                State::Out { .. } => moves.push(Move::Expire(step)),
                State::Lost { .. } => {
                    let can_rerun = side.number < config.tries && !side.attempt.is_stopping();
                    let possible = config
                        .resolutions
                        .iter()
                        .filter(|r| can_rerun || **r != Resolution::Rerun);
                    moves.extend(possible.map(|resolution| Move::Resolve(step, *resolution)));
                }
                _ => {}
            }
        }
        if config.with_stop && !self.stop_asked {
            moves.push(Move::StopAll);
        }
        if config.full && self.agents.iter().any(|agent| agent.live.is_some()) {
            moves.push(Move::ServerCrash);
        }
    }

    fn network_moves(&self, moves: &mut Vec<Move>) {
        for (at, (agent, wire)) in self.net.iter().enumerate() {
            let to_server = matches!(wire, Wire::Hello { .. } | Wire::Report { .. });
            let repeated = at > 0 && self.net[at - 1] == self.net[at];
            if repeated {
                continue;
            }
            // What is on its way to an agent comes before its actions or after them.
            if to_server || self.agents[usize::from(*agent)].pending.is_empty() {
                moves.extend([Move::Deliver(at), Move::Duplicate(at)]);
            }
            moves.push(Move::Drop(at));
        }
    }

    /// Makes a move; an error is a broken promise.
    pub(crate) fn make(&mut self, config: &Config, what: Move) -> Checked {
        match what {
            Move::Act(agent) => return self.act(config, agent),
            Move::Crash(agent) => {
                self.crashes -= 1;
                self.crash(config, agent, false);
            }
            Move::Reboot(agent) => {
                self.reboots -= 1;
                self.crash(config, agent, true);
            }
            Move::Dial(agent) => self.dial(config, agent),
            Move::Ready(agent, token) => self.tell(agent, Input::Ready { token }),
            Move::SeeStarted(agent, token) => self.tell(agent, Input::Started { token }),
            Move::SeeExit(agent, token) => {
                if let Some(Container::Exited(result)) = self.containers.get(&(agent, token)).copied() {
                    self.tell(agent, Input::Ended { token, result });
                }
            }
            Move::LeaseEnds(agent, token) => self.tell(agent, Input::LeaseEnded { token }),
            Move::Exit(agent, token) => {
                self.containers.insert((agent, token), Container::Exited(DONE));
            }
            Move::Offer(step, agent) => return self.offer(config, step, agent),
            Move::Expire(step) => return self.expire(config, step),
            Move::Resolve(step, how) => {
                return self.serve(config, step, server::Input::Resolve(how), None, None);
            }
            Move::StopAll => {
                self.stop_asked = true;
                for step in 0..self.steps.len() {
                    self.serve(config, step, server::Input::Stop, None, None)?;
                }
            }
            Move::ServerCrash => self.agents.iter_mut().for_each(|agent| agent.live = None),
            Move::Deliver(at) => {
                let (agent, wire) = self.net.remove(at);
                return self.deliver(config, agent, wire);
            }
            Move::Duplicate(at) => {
                let (agent, wire) = self.net[at].clone();
                return self.deliver(config, agent, wire);
            }
            Move::Drop(at) => {
                self.net.remove(at);
            }
        }
        Ok(())
    }

    fn deliver(&mut self, config: &Config, agent: Agent, wire: Wire) -> Checked {
        match wire {
            Wire::Hello { dial, inventory } => self.hello(config, agent, dial, &inventory),
            Wire::Report { token, report } => self.reported(config, agent, token, &report),
            other => {
                self.receive(config, agent, other);
                Ok(())
            }
        }
    }

    fn offer(&mut self, config: &Config, step: usize, agent: Agent) -> Checked {
        let Some(session) = self.agents[usize::from(agent)].live else {
            return Ok(());
        };
        let token = self.fresh_token(step);
        let lease = ServerLease {
            token,
            agent,
            session,
        };
        self.serve(config, step, server::Input::Offer(lease), None, None)
    }

    /// The least token of this attempt that nothing in the world names: as good as one never used.
    fn fresh_token(&self, step: usize) -> Token {
        let is_used = |token: &Token| {
            self.is_current(*token)
                || self.containers.keys().any(|(_, other)| other == token)
                || self
                    .agents
                    .iter()
                    .any(|a| a.disk.contains_key(token) || a.desk.leases().contains_key(token))
                || self.net.iter().any(|(_, wire)| names(wire, token))
        };
        let attempt = self.steps[step].number;
        let step = u8::try_from(step).unwrap();
        (0..=u8::MAX)
            .map(|serial| Token {
                step,
                attempt,
                serial,
            })
            .find(|token| !is_used(token))
            .unwrap()
    }
}

fn names(wire: &Wire, token: &Token) -> bool {
    match wire {
        Wire::Hello { inventory, .. } => inventory.iter().any(|(other, _): &(Token, Held)| other == token),
        Wire::Report { token: other, .. }
        | Wire::Offer(other, _)
        | Wire::Ack(other)
        | Wire::Stop(other)
        | Wire::Forget(other) => other == token,
        Wire::Welcome(_) => false,
    }
}
