//! The agents and their hosts in the model.

use std::collections::BTreeMap;

use protocol::Held;
use protocol::agent::{Desk, Ending, Input, Message, Phase, Seen};
use protocol::server::State;

use crate::model::{
    Agent, AgentAction, AgentDesk, Checked, Config, Container, KILLED, Mutation, Outcome, Session, Token,
    Wire, World, ensure,
};

impl World {
    /// Gives an input to an agent; what it wants to do is done later, action by action.
    pub(crate) fn tell(&mut self, agent: Agent, input: Input<Token, Session, Outcome>) {
        let side = &mut self.agents[usize::from(agent)];
        side.pending.extend(side.desk.on(input).unwrap_or_default());
    }

    pub(crate) fn dial(&mut self, config: &Config, agent: Agent) {
        let side = &mut self.agents[usize::from(agent)];
        let dial = side.desk.dial(0);
        let inventory = side
            .desk
            .inventory()
            .map(|(token, held)| (*token, held))
            .collect();
        self.send(config, agent, Wire::Hello { dial, inventory });
    }

    pub(crate) fn receive(&mut self, config: &Config, agent: Agent, wire: Wire) {
        let desk = &self.agents[usize::from(agent)].desk;
        let session = *desk.session().unwrap_or(&0);
        let input = match wire {
            Wire::Welcome(dial) if dial == desk.dial_count() && session == 0 => Input::Opened(dial),
            Wire::Offer(token, _) if config.mutation == Some(Mutation::NoEpoch) && session != 0 => {
                Input::Offer {
                    token,
                    session,
                    admit: Ok(()),
                }
            }
            Wire::Offer(token, session) => Input::Offer {
                token,
                session,
                admit: Ok(()),
            },
            Wire::Ack(token) => Input::Ack { token },
            Wire::Stop(token) => Input::Stop { token },
            Wire::Forget(token) => Input::Forget { token },
            Wire::Welcome(_) | Wire::Hello { .. } | Wire::Report { .. } => return,
        };
        self.tell(agent, input);
    }

    /// The process dies and comes back; with `reboot` its host does, and no container survives.
    pub(crate) fn crash(&mut self, config: &Config, agent: Agent, reboot: bool) {
        if reboot {
            for (token, lease) in &self.agents[usize::from(agent)].disk {
                if matches!(lease.phase, Phase::Starting | Phase::Running) {
                    self.containers
                        .entry((agent, *token))
                        .or_insert(Container::Vanished);
                }
            }
            for (_, container) in self.containers.iter_mut().filter(|((host, _), _)| *host == agent) {
                match container {
                    Container::Running => *container = Container::Vanished,
                    Container::Exited(exit) => *container = Container::Removed(*exit),
                    Container::Vanished | Container::Removed(_) => {}
                }
            }
        }
        let side = &mut self.agents[usize::from(agent)];
        side.pending.clear();
        side.desk = Desk::restore(config.slots, side.desk.dial_count(), side.disk.clone());
        let tokens: Vec<Token> = side.disk.keys().copied().collect();
        for token in tokens {
            let seen = match self.containers.get(&(agent, token)) {
                _ if config.mutation == Some(Mutation::NoAdoption) => Seen::NeverStarted,
                Some(Container::Vanished) if config.mutation == Some(Mutation::NoBoot) => Seen::NeverStarted,
                Some(Container::Running) => Seen::Running,
                Some(Container::Exited(exit)) => Seen::Exited(*exit),
                Some(Container::Removed(_) | Container::Vanished) => Seen::Unknown,
                None => Seen::NeverStarted,
            };
            self.tell(agent, Input::Recovered { token, seen });
        }
    }

    /// Carries out the next action of an agent.
    pub(crate) fn act(&mut self, config: &Config, agent: Agent) -> Checked {
        let action = self.agents[usize::from(agent)].pending.remove(0);
        match action {
            AgentAction::Persist { token, lease } => {
                let buried = lease.phase == Phase::Tombstone;
                self.agents[usize::from(agent)].disk.insert(token, lease);
                if buried && config.mutation == Some(Mutation::ForgetTombstones) {
                    self.lose_record(config, agent, token);
                }
            }
            AgentAction::Erase { token } => {
                self.agents[usize::from(agent)].disk.remove(&token);
            }
            AgentAction::Send { token, report } => self.say(config, agent, token, report)?,
            AgentAction::Start { token } => self.start(config, agent, token)?,
            AgentAction::Stop { token } => {
                if let Some(container @ Container::Running) = self.containers.get_mut(&(agent, token)) {
                    *container = Container::Exited(KILLED);
                }
            }
            AgentAction::Remove { token } => match self.containers.get_mut(&(agent, token)) {
                Some(Container::Running) => return Err(format!("{token:?} was removed while it ran")),
                Some(container) => {
                    if let Container::Exited(exit) = container {
                        *container = Container::Removed(*exit);
                    }
                }
                None => {}
            },
        }
        let side = &self.agents[usize::from(agent)];
        ensure(
            !side.pending.is_empty() || side.desk.leases() == &side.disk,
            || "what the agent believes is not on its disk".to_owned(),
        )
    }

    fn say(&mut self, config: &Config, agent: Agent, token: Token, report: Message<Outcome>) -> Checked {
        let side = &self.agents[usize::from(agent)];
        let held = side.disk.get(&token).map(protocol::agent::Lease::held);
        let is_stored = match report {
            Message::Accepted => matches!(held, Some(Held::Accepted | Held::Starting)),
            Message::Started => held == Some(Held::Running),
            Message::Ended(_) => held == Some(Held::Finished),
        };
        ensure(is_stored, || {
            format!("{token:?}: {report:?} was sent before it was on disk")
        })?;
        let ended = matches!(report, Message::Ended(Ending::Finished { .. }));
        if side.desk.session().is_some() {
            self.send(config, agent, Wire::Report { token, report });
            if ended && config.mutation == Some(Mutation::DropSpoolOnSend) {
                self.lose_record(config, agent, token);
            }
        }
        Ok(())
    }

    fn start(&mut self, config: &Config, agent: Agent, token: Token) -> Checked {
        let on_disk = self.agents[usize::from(agent)]
            .disk
            .get(&token)
            .map(|lease| &lease.phase);
        ensure(on_disk == Some(&Phase::Starting), || {
            format!("{token:?} was started without its intent on disk")
        })?;
        let step = usize::from(token.step);
        for need in config.needs[step] {
            ensure(self.success(*need) == Some(true), || {
                format!("step {step} was started before its need")
            })?;
        }
        let side = &mut self.steps[step];
        let gone = token.attempt == side.number
            && matches!(side.attempt.state(), State::Finished { .. } | State::Withdrawn);
        let starts = side.starts.entry(token.attempt).or_default();
        *starts += 1;
        ensure(*starts < 2, || {
            format!("step {step} attempt {} was started twice", token.attempt)
        })?;
        ensure(!gone, || {
            format!("step {step} was started after it was acknowledged as gone")
        })?;
        self.containers.insert((agent, token), Container::Running);
        Ok(())
    }

    /// The planted bugs that make an agent forget.
    fn lose_record(&mut self, config: &Config, agent: Agent, token: Token) {
        let side = &mut self.agents[usize::from(agent)];
        side.disk.remove(&token);
        let mut leases = side.desk.leases().clone();
        leases.remove(&token);
        side.desk = reseated(&side.desk, config.slots, leases);
    }
}

/// The same desk with other leases.
fn reseated(desk: &AgentDesk, slots: u32, leases: BTreeMap<Token, crate::model::AgentLease>) -> AgentDesk {
    let mut new = Desk::restore(slots, desk.dial_count(), leases);
    if let Some(session) = desk.session() {
        // What it would say again is not what is under test.
        let _said = new.on(Input::Opened(*session));
    }
    new
}
