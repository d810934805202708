//! Agents' reports and inventories.

use std::collections::BTreeMap;

use protocol::{
    Held, Resolution,
    server::{Change, Event as LifeEvent, Input, Known, Lost, Send},
};
use types::{AgentId, AttemptReport, IfLost, LeaseToken, SessionId, StepOutcome, limits};

use crate::{At, Event, Rejected, ReportBody, ToAgent, decide::Decider, ending::By, outputs::checked};

/// Ignored reports that a run keeps; what comes beyond them is acknowledged and not recorded.
const IGNORED_MAX: usize = 256;
/// How often an attempt may come back unstarted before it counts as not placed.
const RETURNS_MAX: u32 = 100;

impl Decider<'_> {
    pub(crate) fn report(
        &mut self,
        at: At,
        token: LeaseToken,
        from: AgentId,
        body: ReportBody,
    ) -> Result<(), Rejected> {
        let report = body.word();
        if self.run.attempt(&at).is_none() {
            self.no_such(at, token, from, report);
            return Ok(());
        }
        let input = Input::Report {
            token: token.clone(),
            from: from.clone(),
            report,
        };
        let change = self.life(&at, input, Some(&from))?;
        match change {
            Change::Append(event) => {
                let (report, crashes) = match body {
                    ReportBody::Finished(report) => (Some(*report), 0),
                    ReportBody::Released { crashes } => (None, crashes),
                    _ => (None, 0),
                };
                self.append_life(at, token, event, report, crashes);
            }
            Change::Ignored(why) if report.is_terminal() => {
                let known = (at, token, from, report);
                // A repeat is acknowledged again and changes nothing; nor may a liar fill the history.
                if self.run.ignored.len() < IGNORED_MAX && !self.run.ignored.contains(&known) {
                    let (at, token, agent, report) = known;
                    self.emit(Event::ReportIgnored {
                        at,
                        token,
                        agent,
                        report,
                        why,
                    });
                }
            }
            Change::Repeat | Change::Ignored(_) => {}
        }
        Ok(())
    }

    /// The run has no such attempt: there is no place for a record, but the agent's spool must drain and what it runs
    /// is not wanted.
    fn no_such(&mut self, at: At, token: LeaseToken, agent: AgentId, report: protocol::Report) {
        let send = if report.is_terminal() {
            Send::Ack(token)
        } else {
            Send::Stop(token)
        };
        self.out.sends.push(ToAgent { agent, at, send });
    }

    pub(crate) fn inventory(
        &mut self,
        agent: &AgentId,
        session: &SessionId,
        held: &BTreeMap<LeaseToken, Held>,
        crashed: bool,
    ) {
        let at_agent: Vec<(At, LeaseToken)> = self
            .run
            .live()
            .filter_map(|(at, attempt)| {
                let lease = attempt.life.lease().filter(|lease| lease.agent == *agent)?;
                Some((at, lease.token.clone()))
            })
            .collect();
        for (at, token) in at_agent {
            let input = Input::Inventory {
                agent: agent.clone(),
                session: session.clone(),
                held: held.get(&token).copied(),
            };
            if let Ok(Change::Append(event)) = self.life(&at, input, Some(agent)) {
                self.append_life(at, token, event, None, u32::from(crashed));
            }
        }
    }

    fn append_life(
        &mut self,
        at: At,
        token: LeaseToken,
        event: LifeEvent<LeaseToken, AgentId, SessionId>,
        report: Option<AttemptReport>,
        agent_crashes: u32,
    ) {
        match event {
            LifeEvent::Accepted => self.emit(Event::AttemptAccepted { at, token }),
            LifeEvent::Started => self.emit(Event::AttemptStarted { at, token }),
            LifeEvent::Returned { because } => {
                self.mark(&at.step);
                let again = at.clone();
                self.emit(Event::AttemptReturned {
                    at,
                    token,
                    because,
                    agent_crashes,
                });
                if let Some(reason) = self.run.attempt(&again).and_then(|a| a.crashes.verdict()) {
                    self.emit(Event::AttemptNotPlaced {
                        at: again.clone(),
                        reason: reason.clone(),
                    });
                    // No retry: it would go to the next two agents.
                    self.end_item(&again, StepOutcome::Failed, vec![reason]);
                    return;
                }
                // Else an agent that declines whatever it is offered would keep a run going round for ever.
                if self.run.attempt(&again).is_some_and(|a| a.returns >= RETURNS_MAX) {
                    let reason = format!("not placed: agents gave it back {RETURNS_MAX} times");
                    self.emit(Event::AttemptNotPlaced {
                        at: again.clone(),
                        reason,
                    });
                    self.after_attempt(&again);
                }
            }
            LifeEvent::Withdrawn => {
                self.emit(Event::AttemptWithdrawn { at: at.clone() });
                self.after_attempt(&at);
            }
            LifeEvent::Lost { known, because } => self.lost(&at, token, known, because),
            LifeEvent::Finished => {
                let Some(report) = report else { return };
                let work = self.run.attempt(&at).map(|a| std::sync::Arc::clone(&a.work));
                let mut report = work.map_or(report.clone(), |work| checked(report, &work));
                for artifact in std::mem::take(&mut report.artifacts) {
                    self.emit(Event::ArtifactStored {
                        at: at.clone(),
                        token: token.clone(),
                        artifact,
                    });
                }
                self.emit(Event::AttemptFinished {
                    at: at.clone(),
                    token,
                    report: Box::new(report),
                });
                self.after_attempt(&at);
            }
            LifeEvent::Offered { .. } | LifeEvent::Settled { .. } | LifeEvent::StopRequested => {}
        }
    }

    /// An attempt came into doubt: what its step says of that, or the cancel, or a person settles it.
    pub(crate) fn lost(&mut self, at: &At, token: LeaseToken, known: Known, because: Lost) {
        self.emit(Event::AttemptLost {
            at: at.clone(),
            token,
            known,
            because,
        });
        let Some((plan, _)) = self.run.step(&at.step) else {
            return;
        };
        let stopping = self.run.attempt(at).is_some_and(|a| a.life.is_stopping());
        let (resolution, by) = match plan.if_lost {
            _ if stopping => (Resolution::Fail, By::Cancel),
            IfLost::Ask => return,
            IfLost::Rerun if self.reruns(at) < limits::RERUNS => (Resolution::Rerun, By::IfLost),
            IfLost::Rerun | IfLost::Fail => (Resolution::Fail, By::IfLost),
        };
        let settled = self.settle_doubt(at, resolution, by);
        debug_assert!(settled.is_ok(), "an attempt in doubt can be settled");
    }

    /// How often this item was run again because its agent was lost, the newest attempt aside.
    pub(crate) fn reruns(&self, at: &At) -> u32 {
        let Some(item) = self.run.item(&at.step, at.index) else {
            return 0;
        };
        let before = item.attempts.split_last().map_or(&[][..], |(_, before)| before);
        u32::try_from(before.iter().filter(|attempt| attempt.was_lost()).count()).unwrap_or(u32::MAX)
    }

    /// A lease's time and the margin after it are over.
    pub(crate) fn expired(&mut self, at: &At, token: LeaseToken) -> Result<(), Rejected> {
        match self.life(at, Input::Expired { token: token.clone() }, None)? {
            Change::Append(LifeEvent::Lost { known, because }) => self.lost(at, token, known, because),
            Change::Append(_) | Change::Repeat => {}
            Change::Ignored(why) => return Err(Rejected::NotNow(why)),
        }
        Ok(())
    }
}
