//! The server in the model: routes to the machine, sends what it says, and is checked against the truth.

use protocol::agent::{Ending, Message};
use protocol::server::{Attempt, Change, Event, Input, Send, State, stranger};
use protocol::{Held, Resolution};

use crate::model::{
    Agent, Checked, Config, Container, Mutation, Outcome, Session, StepSide, Token, Wire, World, ensure,
};

type ServerInput = Input<Token, Agent, Session>;

impl World {
    /// Gives an input to a step's attempt. `from`: the agent to answer, where one speaks.
    pub(crate) fn serve(
        &mut self,
        config: &Config,
        step: usize,
        input: ServerInput,
        from: Option<Agent>,
        result: Option<Outcome>,
    ) -> Checked {
        let holder = self.steps[step]
            .attempt
            .lease()
            .map(|lease| (lease.agent, lease.token));
        let before = self.steps[step].attempt.clone();
        let answer = self.steps[step].attempt.on(input);
        if let Change::Append(event) = &answer.change {
            let mut folded = before;
            folded.apply(event);
            ensure(folded == self.steps[step].attempt, || {
                "fold and decide disagree".to_owned()
            })?;
            self.appended(step, event, holder, result)?;
        }
        if let Some(send) = answer.send {
            let to = from.or_else(|| self.steps[step].attempt.lease().map(|lease| lease.agent));
            let to = to.ok_or("nobody to send to")?;
            self.send(config, to, wire(send));
        }
        self.renew(config, step);
        Ok(())
    }

    fn appended(
        &mut self,
        step: usize,
        event: &Event<Token, Agent, Session>,
        holder: Option<(Agent, Token)>,
        result: Option<Outcome>,
    ) -> Checked {
        let (Event::Finished, Some((agent, token))) = (event, holder) else {
            return Ok(());
        };
        let side = &mut self.steps[step];
        ensure(side.result.is_none(), || {
            format!("a second result of step {step} was accepted")
        })?;
        side.result = result;
        let truth = match self.containers.get(&(agent, token)) {
            Some(Container::Exited(exit) | Container::Removed(exit)) => Some(*exit),
            _ => None,
        };
        ensure(result.is_some() && truth == result, || {
            format!("step {step}: accepted {result:?}, but the container's end is {truth:?}")
        })
    }

    /// A rerun takes the place of its settled attempt at once.
    fn renew(&mut self, config: &Config, step: usize) {
        let side = &mut self.steps[step];
        let settled = matches!(
            side.attempt.state(),
            State::Settled {
                resolution: Resolution::Rerun,
                ..
            }
        );
        if settled && side.number < config.tries {
            let starts = std::mem::take(&mut side.starts);
            *side = StepSide {
                attempt: Attempt::default(),
                number: side.number + 1,
                result: None,
                starts,
            };
        }
    }

    pub(crate) fn expire(&mut self, config: &Config, step: usize) -> Checked {
        let Some(token) = self.steps[step].attempt.lease().map(|lease| lease.token) else {
            return Ok(());
        };
        if config.mutation == Some(Mutation::RerunOnExpiry) {
            self.steps[step].attempt = Attempt::default();
            return Ok(());
        }
        self.serve(config, step, Input::Expired { token }, None, None)
    }

    pub(crate) fn hello(
        &mut self,
        config: &Config,
        agent: Agent,
        dial: u64,
        inventory: &[(Token, Held)],
    ) -> Checked {
        let side = &mut self.agents[usize::from(agent)];
        if side.gate.hello(dial).is_err() && config.mutation != Some(Mutation::NoGate) {
            return Ok(());
        }
        side.live = Some(dial);
        self.send(config, agent, Wire::Welcome(dial));
        for step in 0..self.steps.len() {
            let Some(lease) = self.steps[step]
                .attempt
                .lease()
                .filter(|lease| lease.agent == agent)
            else {
                continue;
            };
            let held = inventory
                .iter()
                .find(|(token, _)| *token == lease.token)
                .map(|(_, held)| *held);
            self.serve(
                config,
                step,
                Input::Inventory {
                    agent,
                    session: dial,
                    held,
                },
                Some(agent),
                None,
            )?;
        }
        for (token, held) in inventory {
            if !self.is_current(*token)
                && let Some(send) = stranger(*token, *held)
            {
                self.send(config, agent, wire(send));
            }
        }
        Ok(())
    }

    pub(crate) fn reported(
        &mut self,
        config: &Config,
        agent: Agent,
        token: Token,
        message: &Message<Outcome>,
    ) -> Checked {
        let result = match message {
            Message::Ended(Ending::Finished { result }) => Some(*result),
            _ => None,
        };
        let input = Input::Report {
            token,
            from: agent,
            report: message.report(),
        };
        self.serve(config, usize::from(token.step), input, Some(agent), result)
    }
}

fn wire(send: Send<Token, Agent, Session>) -> Wire {
    match send {
        Send::Offer(lease) => Wire::Offer(lease.token, lease.session),
        Send::Ack(token) => Wire::Ack(token),
        Send::Stop(token) => Wire::Stop(token),
        Send::Forget(token) => Wire::Forget(token),
    }
}
