//! Commands to events. Whatever a command changes, `Decider::settle` then carries on as far as it goes.

use std::collections::BTreeSet;

use protocol::{
    Resolution,
    server::{self, Change, Input},
};
use types::Timestamp;

use crate::{
    At, Command, Context, Decision, Event, Lease, Phase, Rejected, Run, RunStarted, ToAgent, ending::By,
    state::at_of,
};

/// One decision in the making: the run with the events so far folded in.
pub(crate) struct Decider<'r> {
    pub(crate) run: &'r mut Run,
    pub(crate) context: Context,
    pub(crate) out: Decision,
    /// Steps to look at.
    pub(crate) dirty: BTreeSet<usize>,
}

/// Starts a run.
#[must_use]
pub fn start(first: RunStarted, context: Context) -> (Run, Decision) {
    begin(first, Vec::new(), context)
}

/// Starts a run with what it takes over from an earlier one.
pub(crate) fn begin(first: RunStarted, reused: Vec<Event>, context: Context) -> (Run, Decision) {
    let mut run = Run::new(&first, context.now);
    let mut decider = Decider {
        dirty: (0..run.steps.len()).collect(),
        run: &mut run,
        context,
        out: Decision {
            events: vec![Event::RunStarted(Box::new(first))],
            sends: Vec::new(),
        },
    };
    for event in reused {
        decider.emit(event);
    }
    decider.settle();
    let out = decider.out;
    (run, out)
}

/// Decides a command. On `Ok` the events are folded into `run` already: if they cannot be appended, throw `run` away
/// and load it again. On `Err` it is unchanged.
///
/// # Errors
/// What cannot be done, as a value.
pub fn decide(run: &mut Run, command: Command<'_>, context: Context) -> Result<Decision, Rejected> {
    let mut decider = Decider {
        run,
        context,
        out: Decision::default(),
        dirty: BTreeSet::new(),
    };
    match command {
        Command::Offer { at, placement } => decider.offer(at, placement)?,
        Command::Report {
            at,
            token,
            from,
            body,
        } => decider.report(at, token, from, body)?,
        Command::Inventory {
            agent,
            session,
            held,
            crashed,
        } => decider.inventory(&agent, &session, held, crashed),
        Command::Expired { at, token } => decider.expired(&at, token)?,
        Command::Resolve {
            step,
            index,
            resolution,
            by,
        } => decider.resolve(&step, index, resolution, by)?,
        Command::Cancel { by, reason } => decider.cancel(by, reason)?,
        Command::Tick { agents, heard_since } => decider.tick(agents, heard_since),
    }
    decider.settle();
    Ok(decider.out)
}

impl Decider<'_> {
    pub(crate) const fn now(&self) -> Timestamp {
        self.context.now
    }

    /// Folds an event in and keeps it.
    pub(crate) fn emit(&mut self, event: Event) {
        self.run.evolve(&event, self.context.now);
        self.out.events.push(event);
    }

    pub(crate) fn mark(&mut self, key: &str) {
        if let Some(i) = self.run.position(key) {
            self.dirty.insert(i);
        }
    }

    /// Feeds the protocol's machine; answers what it changes and queues what it sends.
    pub(crate) fn life(
        &mut self,
        at: &At,
        input: Input<types::LeaseToken, types::AgentId, types::SessionId>,
        answer_to: Option<&types::AgentId>,
    ) -> Result<Change<types::LeaseToken, types::AgentId, types::SessionId>, Rejected> {
        let attempt = self.run.attempt(at).ok_or_else(|| no_attempt(at))?;
        let step = attempt.life.decide(input);
        let agent = match (&step.send, answer_to) {
            (Some(server::Send::Offer(lease)), _) => Some(lease.agent.clone()),
            (Some(_), Some(agent)) => Some(agent.clone()),
            (Some(_), None) => attempt.life.lease().map(|lease| lease.agent.clone()),
            (None, _) => None,
        };
        if let (Some(send), Some(agent)) = (step.send, agent) {
            self.out.sends.push(ToAgent {
                agent,
                at: at.clone(),
                send,
            });
        }
        Ok(step.change)
    }

    fn offer(&mut self, at: At, placement: types::Placement) -> Result<(), Rejected> {
        if self.run.ended.is_some() {
            return Err(Rejected::Ended);
        }
        let lease = Lease {
            token: placement.token.clone(),
            agent: placement.agent.clone(),
            session: placement.session.clone(),
        };
        match self.life(&at, Input::Offer(lease), None)? {
            Change::Append(_) => self.emit(Event::AttemptOffered { at, placement }),
            Change::Repeat => {}
            Change::Ignored(why) => return Err(Rejected::NotNow(why)),
        }
        Ok(())
    }

    fn resolve(
        &mut self,
        step: &str,
        index: Option<u32>,
        resolution: Resolution,
        by: String,
    ) -> Result<(), Rejected> {
        let i = self
            .run
            .position(step)
            .ok_or_else(|| Rejected::NoSuchStep(step.to_owned()))?;
        let in_doubt = || Rejected::NotInDoubt(step.to_owned());
        let items = &self.run.steps[i].items;
        let doubtful = |n: usize| {
            let item = items.get(n)?;
            let attempt = item.attempts.last()?;
            matches!(attempt.life.state(), server::State::Lost { .. })
                .then(|| at_of(&self.run.plan.steps[i], n, item.attempts.len()))
        };
        let at = match index {
            Some(n) => doubtful(n as usize),
            // Without an index the one item that is in doubt is meant.
            None => {
                let all: Vec<At> = (0..items.len()).filter_map(doubtful).collect();
                if all.len() == 1 {
                    all.into_iter().next()
                } else {
                    None
                }
            }
        }
        .ok_or_else(in_doubt)?;
        self.settle_doubt(&at, resolution, By::Person(by))
    }

    pub(crate) fn settle_doubt(&mut self, at: &At, resolution: Resolution, by: By) -> Result<(), Rejected> {
        let token = self
            .run
            .attempt(at)
            .and_then(|a| a.life.lease())
            .map(|lease| lease.token.clone())
            .ok_or_else(|| no_attempt(at))?;
        match self.life(at, Input::Resolve(resolution), None)? {
            Change::Append(_) => {
                self.emit(Event::AttemptSettled {
                    at: at.clone(),
                    token,
                    resolution,
                    by: by.to_string(),
                });
                self.after_doubt(at, resolution, &by);
                Ok(())
            }
            Change::Repeat => Ok(()),
            Change::Ignored(why) => Err(Rejected::NotNow(why)),
        }
    }

    fn cancel(&mut self, by: String, reason: String) -> Result<(), Rejected> {
        if self.run.ended.is_some() {
            return Err(Rejected::Ended);
        }
        if self.run.cancel.is_some() {
            return Ok(());
        }
        let spared = self.spared();
        self.emit(Event::CancelRequested { by, reason, spared });
        for i in 0..self.run.steps.len() {
            match self.run.steps[i].phase {
                Phase::Waiting => drop(self.dirty.insert(i)),
                Phase::Active if self.run.steps[i].stopping => self.stop_step(i),
                Phase::Active | Phase::Ended(_) => {}
            }
        }
        Ok(())
    }

    /// Takes back what has not begun, asks the agents to end what has, and settles what is in doubt.
    fn stop_step(&mut self, i: usize) {
        self.dirty.insert(i);
        let plan = std::sync::Arc::clone(&self.run.plan);
        for n in 0..self.run.steps[i].items.len() {
            let item = &self.run.steps[i].items[n];
            let Some(attempt) = item.attempts.last().filter(|_| item.ended.is_none()) else {
                continue;
            };
            let at = at_of(&plan.steps[i], n, item.attempts.len());
            if attempt.life.is_over() {
                continue;
            }
            if matches!(attempt.life.state(), server::State::Lost { .. }) {
                // It is in doubt already: nobody can be asked, and nothing is waited for.
                let settled = self.settle_doubt(&at, Resolution::Fail, By::Cancel);
                debug_assert!(settled.is_ok(), "an attempt in doubt can be settled");
                continue;
            }
            match self.life(&at, Input::Stop, None) {
                Ok(Change::Append(server::Event::Withdrawn)) => {
                    self.emit(Event::AttemptWithdrawn { at: at.clone() });
                    self.after_attempt(&at);
                }
                Ok(Change::Append(_)) => self.emit(Event::AttemptStopping { at }),
                Ok(Change::Repeat | Change::Ignored(_)) | Err(_) => {}
            }
        }
    }
}

pub(crate) fn no_attempt(at: &At) -> Rejected {
    let index = at.index.map(|i| format!("[{i}]")).unwrap_or_default();
    Rejected::NoSuchAttempt(format!("{}{index}#{}", at.step, at.attempt))
}
