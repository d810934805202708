//! Agents' reports and inventories.

use std::collections::BTreeMap;

use protocol::{
    Held, Resolution,
    server::{Change, Event as LifeEvent, Input, Known, Lost},
};
use types::{
    AgentId, AttemptReport, Failure, FailureKind, IfLost, LeaseToken, Object, SessionId, Verdict, Work,
    limits,
};

use crate::{
    At, Event, Rejected, ReportBody,
    decide::{Decider, no_attempt},
};

impl Decider<'_> {
    pub(crate) fn report(
        &mut self,
        at: At,
        token: LeaseToken,
        from: AgentId,
        body: ReportBody,
    ) -> Result<(), Rejected> {
        let report = body.word();
        let input = Input::Report {
            token: token.clone(),
            from: from.clone(),
            report,
        };
        let change = self.life(&at, input, Some(&from))?;
        match change {
            Change::Append(event) => {
                let report = match body {
                    ReportBody::Finished(report) => Some(*report),
                    _ => None,
                };
                self.append_life(at, token, event, report);
            }
            Change::Ignored(why) if report.is_terminal() => {
                self.emit(Event::ReportIgnored {
                    at,
                    token,
                    agent: from,
                    report,
                    why,
                });
            }
            Change::Repeat | Change::Ignored(_) => {}
        }
        Ok(())
    }

    pub(crate) fn inventory(
        &mut self,
        agent: &AgentId,
        session: &SessionId,
        held: &BTreeMap<LeaseToken, Held>,
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
                self.append_life(at, token, event, None);
            }
        }
    }

    fn append_life(
        &mut self,
        at: At,
        token: LeaseToken,
        event: LifeEvent<LeaseToken, AgentId, SessionId>,
        report: Option<AttemptReport>,
    ) {
        match event {
            LifeEvent::Accepted => self.emit(Event::AttemptAccepted { at, token }),
            LifeEvent::Started => self.emit(Event::AttemptStarted { at, token }),
            LifeEvent::Returned { because } => {
                self.mark(&at.step);
                self.emit(Event::AttemptReturned { at, token, because });
            }
            LifeEvent::Withdrawn => {
                self.emit(Event::AttemptWithdrawn { at: at.clone() });
                self.after_attempt(&at);
            }
            LifeEvent::Lost { known, because } => self.lost(&at, token, known, because),
            LifeEvent::Finished => {
                let Some(report) = report else { return };
                let work = self.run.attempt(&at).map(|a| std::sync::Arc::clone(&a.work));
                let report = work.map_or(report.clone(), |work| checked(report, &work));
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
            _ if stopping => (Resolution::Fail, "cancel"),
            IfLost::Ask => return,
            IfLost::Rerun if self.reruns(at) < limits::RERUNS => (Resolution::Rerun, "if-lost"),
            IfLost::Rerun | IfLost::Fail => (Resolution::Fail, "if-lost"),
        };
        let settled = self.settle_doubt(at, resolution, by.to_owned());
        debug_assert!(settled.is_ok(), "an attempt in doubt can be settled");
    }

    /// How often this item was run again because its agent was lost.
    pub(crate) fn reruns(&self, at: &At) -> u32 {
        use protocol::server::State;
        let Some((_, step)) = self.run.step(&at.step) else {
            return 0;
        };
        let Some(item) = step.items.get(at.index.unwrap_or(0) as usize) else {
            return 0;
        };
        let rerun = |a: &&crate::Attempt| {
            matches!(
                a.life.state(),
                State::Settled {
                    resolution: Resolution::Rerun,
                    ..
                }
            )
        };
        u32::try_from(item.attempts.iter().filter(rerun).count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn tick_expired(&mut self, at: &At) -> Result<(), Rejected> {
        let token = self
            .run
            .attempt(at)
            .and_then(|a| a.life.lease())
            .map(|lease| lease.token.clone())
            .ok_or_else(|| no_attempt(at))?;
        match self.life(at, Input::Expired { token: token.clone() }, None)? {
            Change::Append(LifeEvent::Lost { known, because }) => self.lost(at, token, known, because),
            Change::Append(_) | Change::Repeat => {}
            Change::Ignored(why) => return Err(Rejected::NotNow(why)),
        }
        Ok(())
    }
}

/// The agent checked the outputs, so that retries apply; it may lie, so they are checked again.
fn checked(mut report: AttemptReport, work: &Work) -> AttemptReport {
    if !matches!(report.verdict, Verdict::Succeeded | Verdict::Degraded { .. }) {
        report.outputs = Object::new();
        return report;
    }
    if let Err(message) = fits(&report.outputs, work) {
        let failure = Failure::new(
            FailureKind::Output,
            format!("the agent reported outputs that do not fit: {message}"),
        );
        report.verdict = Verdict::Failed { failure };
        report.outputs = Object::new();
    }
    if let Verdict::Degraded { reasons } = &mut report.verdict {
        if reasons.is_empty() {
            reasons.push("degraded without a reason".to_owned());
        }
        reasons.truncate(limits::REASONS);
    }
    report
}

fn fits(outputs: &Object, work: &Work) -> Result<(), String> {
    for name in outputs.keys() {
        if !work.outputs.contains_key(name) {
            return Err(format!("{name:?} is not declared"));
        }
    }
    for (name, decl) in &work.outputs {
        match outputs.get(name) {
            None | Some(serde_json::Value::Null) if decl.optional => {}
            None => return Err(format!("{name:?} is missing")),
            Some(value) => decl.ty.check(value).map_err(|e| format!("{name:?}: {e}"))?,
        }
    }
    let size = serde_json::to_string(outputs).map_or(usize::MAX, |text| text.len());
    if size > limits::OUTPUTS_BYTES {
        return Err(format!("{size} bytes, at most {}", limits::OUTPUTS_BYTES));
    }
    Ok(())
}
