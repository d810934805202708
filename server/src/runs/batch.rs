//! What a decision needs around it: offers for what is ready, the head, the leases, and the messages after the commit.

use std::sync::Arc;

use engine::{At, Command, Context, Decision, Event, Run, RunStarted, ToAgent, history, placement::Wanted};
use proto::v1;
use protocol::server::{Known, Send, State};
use types::{AgentId, Placement, SessionId, Timestamp, Whose};

use crate::{
    agents::{Agents, Lease},
    api::convert,
    clock::Clock,
    meter::Meter,
    store::{Head, NewEvent, RunHead, StreamAppend, StreamId},
};

/// A run that is decided, in the form in which it is stored, and not stored yet. Dropped, its slots are free again.
pub(crate) struct Prepared {
    pub(crate) run: Run,
    decision: Decision,
    reserved: Reserved,
    append: StreamAppend,
}

/// The same once its append is on its way.
pub(crate) struct Appended {
    pub(crate) run: Run,
    decision: Decision,
    reserved: Reserved,
}

/// Slots of agents that were taken for offers. They are given back when this is dropped, whatever ends the work on them:
/// an error, a conflict, a panic.
pub(crate) struct Reserved {
    agents: Arc<Agents>,
    placements: Vec<Placement>,
}

impl Reserved {
    fn none(agents: &Arc<Agents>) -> Self {
        Self {
            agents: Arc::clone(agents),
            placements: Vec::new(),
        }
    }

    fn give_back_last(&mut self) {
        if let Some(placement) = self.placements.pop() {
            self.agents.release(&placement);
        }
    }

    /// The offers are stored: their slots stay taken.
    pub(crate) fn keep(mut self) {
        self.placements.clear();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        for placement in &self.placements {
            self.agents.release(placement);
        }
    }
}

pub(crate) fn prepare(agents: &Arc<Agents>, clock: Clock, first: RunStarted) -> Prepared {
    let context = clock.context();
    failpoint::reach_of("run.prepare", &first.plan.name);
    let (run, decision) = engine::start(first, context);
    offered_now(agents, context, run, decision)
}

pub(crate) fn prepare_rerun(
    agents: &Arc<Agents>,
    clock: Clock,
    earlier: &Run,
    id: types::RunId,
    by: String,
    from: &[String],
) -> Result<Prepared, engine::NoRerun> {
    let context = clock.context();
    let (run, decision) = engine::rerun(earlier, id, by, from, context)?;
    Ok(offered_now(agents, context, run, decision))
}

/// A run that cannot be begun.
pub(crate) fn stillborn(agents: &Arc<Agents>, clock: Clock, first: RunStarted, why: &str) -> Prepared {
    let context = clock.context();
    let (run, decision) = engine::stillborn(first, why, context);
    Prepared::new(run, decision, Reserved::none(agents), context.now)
}

fn offered_now(agents: &Arc<Agents>, context: Context, mut run: Run, mut decision: Decision) -> Prepared {
    let reserved = offer(&mut run, agents, context, &mut decision);
    Prepared::new(run, decision, reserved, context.now)
}

impl Prepared {
    fn new(run: Run, decision: Decision, reserved: Reserved, at: Timestamp) -> Self {
        let append = stream(&run, 0, &decision.events, at);
        Self {
            run,
            decision,
            reserved,
            append,
        }
    }

    /// The run's first event.
    pub(crate) fn first(&self) -> Option<&RunStarted> {
        match self.decision.events.first() {
            Some(Event::RunStarted(first)) => Some(first),
            _ => None,
        }
    }

    /// What is to be stored, and the rest, which waits for that.
    pub(crate) fn split(self) -> (StreamAppend, Appended) {
        let Self {
            run,
            decision,
            reserved,
            append,
        } = self;
        let appended = Appended {
            run,
            decision,
            reserved,
        };
        (append, appended)
    }
}

impl Appended {
    /// Stored: its leases are armed and its offers go out.
    pub(crate) fn deliver(self, agents: &Agents, meter: &Meter) -> Run {
        self.reserved.keep();
        after_commit(agents, meter, &self.run, &self.decision);
        self.run
    }
}

/// Offers every queued attempt that an agent takes now.
pub(crate) fn offer(run: &mut Run, agents: &Arc<Agents>, context: Context, into: &mut Decision) -> Reserved {
    let mut reserved = Reserved::none(agents);
    let queued: Vec<At> = run.queued().map(|(at, _)| at).collect();
    for at in queued {
        let Some(attempt) = run.attempt(&at) else { continue };
        let wanted = Wanted {
            work: &attempt.work,
            runs_on: &attempt.runs_on,
            connection: attempt.connection.as_deref(),
            whose: Whose {
                workflow: Some(&run.plan.name),
                step: Some(&at.step),
                image_is_open: false,
            },
            crashes: Some(&attempt.crashes),
        };
        let Ok(placement) = agents.reserve(&wanted) else {
            continue;
        };
        // Before anything is done with it that may go wrong.
        reserved.placements.push(placement.clone());
        failpoint::reach_of("run.offer", &run.plan.name);
        match engine::decide(run, Command::Offer { at, placement }, context) {
            Ok(decision) => {
                into.events.extend(decision.events);
                into.sends.extend(decision.sends);
            }
            Err(error) => {
                tracing::error!(run = %run.id, %error, "a queued attempt was not to be offered");
                reserved.give_back_last();
            }
        }
    }
    reserved
}

/// The events as a stream's append.
pub(crate) fn stream(run: &Run, expected_seq: u64, events: &[Event], at: Timestamp) -> StreamAppend {
    reach(events, Moment::Decided);
    let events = events
        .iter()
        .map(|event| {
            let stored = history::write(event);
            NewEvent {
                at,
                kind: stored.kind,
                version: stored.version,
                body: stored.body,
            }
        })
        .collect();
    StreamAppend {
        stream: StreamId::Run(run.id.clone()),
        expected_seq,
        events,
        head: Head::Run(head(run)),
    }
}

fn head(run: &Run) -> RunHead {
    RunHead {
        workflow: run.plan.name.clone(),
        outcome: run.ended.as_ref().map(|ended| ended.outcome),
        reasons: run
            .ended
            .iter()
            .flat_map(|e| e.reasons.iter().map(|reason| reason.message.clone()))
            .collect(),
        started_at: run.started_at,
        finished_at: run.ended.as_ref().map(|ended| ended.at),
        incident: run.trigger.incident.clone(),
    }
}

/// After the commit: the book of leases and the counters follow, then the agents hear of it.
pub(crate) fn after_commit(agents: &Agents, meter: &Meter, run: &Run, decision: &Decision) {
    reach(&decision.events, Moment::Committed);
    for event in &decision.events {
        meter.event(run, event);
        book(agents, run, event);
    }
    for to in &decision.sends {
        send(agents, run, to);
    }
    reach(&decision.events, Moment::Told);
}

/// Around a commit.
#[derive(Clone, Copy)]
enum Moment {
    Decided,
    Committed,
    Told,
}

/// Where a test may let the server die: around the commit of an offer, of a result, and of a result with the offer that
/// follows from it.
fn reach(events: &[Event], moment: Moment) {
    let offers = events
        .iter()
        .any(|event| matches!(event, Event::AttemptOffered { .. }));
    let ends = events
        .iter()
        .any(|event| matches!(event, Event::AttemptFinished { .. }));
    let place = |[decided, committed, told]: [&'static str; 3]| match moment {
        Moment::Decided => decided,
        Moment::Committed => committed,
        Moment::Told => told,
    };
    if offers {
        failpoint::reach(place(["grant.pre", "grant.commit", "grant.post"]));
    }
    if ends {
        failpoint::reach(place(["result.pre", "result.commit", "result.post"]));
    }
    if offers && ends {
        failpoint::reach(place(["advance.pre", "advance.commit", "advance.post"]));
    }
}

fn book(agents: &Agents, run: &Run, event: &Event) {
    match event {
        Event::AttemptOffered { at, placement } => {
            let lease = Lease {
                run: run.id.clone(),
                at: at.clone(),
                agent: placement.agent.clone(),
                session: placement.session.clone(),
                budget_ms: run.attempt(at).map_or(0, |attempt| attempt.work.disconnect_ms),
                lost: false,
            };
            agents.lease(placement.token.clone(), lease);
        }
        Event::AttemptReturned { token, .. }
        | Event::AttemptFinished { token, .. }
        | Event::AttemptSettled { token, .. } => agents.unlease(token),
        Event::AttemptLost { token, .. } => agents.lost(token),
        // Its state has no token any more.
        Event::AttemptWithdrawn { at } => agents.unlease_attempt(&run.id, at),
        _ => {}
    }
}

/// The leases of a run that was loaded, armed in full.
pub(crate) fn arm(agents: &Agents, run: &Run) {
    for (at, attempt) in run.live() {
        let Some(lease) = attempt.life.lease() else {
            continue;
        };
        let noted = Lease {
            run: run.id.clone(),
            at,
            agent: lease.agent.clone(),
            session: lease.session.clone(),
            budget_ms: attempt.work.disconnect_ms,
            lost: matches!(attempt.life.state(), State::Lost { .. }),
        };
        agents.lease(lease.token.clone(), noted);
    }
}

/// Says again what may not have been said: after an append of which it was unknown whether it was stored. A copy of an
/// offer starts nothing, and one of a stop changes nothing.
pub(crate) fn say_again(agents: &Agents, run: &Run) {
    for (at, attempt) in run.live() {
        let (State::Out { lease, .. } | State::Lost { lease, .. }) = attempt.life.state() else {
            continue;
        };
        let offered = matches!(
            attempt.life.state(),
            State::Out {
                known: Known::Offered,
                ..
            }
        );
        let to = |send| ToAgent {
            agent: lease.agent.clone(),
            at: at.clone(),
            send,
        };
        if offered {
            send(agents, run, &to(Send::Offer(lease.clone())));
        }
        if attempt.life.is_stopping() {
            send(agents, run, &to(Send::Stop(lease.token.clone())));
        }
    }
}

/// Where the run's attempts are out, and in which sessions they were offered.
pub(crate) fn out(run: &Run) -> impl Iterator<Item = (AgentId, SessionId)> {
    run.live().filter_map(|(_, attempt)| {
        let lease = attempt.life.lease()?;
        Some((lease.agent.clone(), lease.session.clone()))
    })
}

fn send(agents: &Agents, run: &Run, to: &ToAgent) {
    let attempt_ref = convert::attempt_ref(&run.id, &to.at);
    let (only, message) = match &to.send {
        Send::Offer(lease) => {
            let Some(attempt) = run.attempt(&to.at) else {
                return;
            };
            let work_json = match serde_json::to_string(attempt.work.as_ref()) {
                Ok(json) => json,
                Err(error) => {
                    tracing::error!(run = %run.id, %error, "work has no JSON form");
                    return;
                }
            };
            let offer = v1::Offer {
                attempt: Some(attempt_ref),
                token: lease.token.to_string(),
                session_id: lease.session.to_string(),
                workflow: run.plan.name.clone(),
                work_json,
            };
            (Some(&lease.session), v1::session_down::Message::Offer(offer))
        }
        Send::Ack(token) => (
            None,
            v1::session_down::Message::Ack(v1::Ack {
                attempt: Some(attempt_ref),
                token: token.to_string(),
            }),
        ),
        Send::Stop(token) => {
            let reason = stop_reason(run);
            let stop = v1::Stop {
                attempt: Some(attempt_ref),
                token: token.to_string(),
                reason,
            };
            (None, v1::session_down::Message::Stop(stop))
        }
        Send::Forget(token) => (
            None,
            v1::session_down::Message::Forget(v1::Forget {
                token: token.to_string(),
            }),
        ),
    };
    agents.send(
        &to.agent,
        only,
        v1::SessionDown {
            message: Some(message),
        },
    );
}

fn stop_reason(run: &Run) -> String {
    run.cancel.as_ref().map_or_else(
        || "not wanted any more".to_owned(),
        |cancel| format!("cancelled by {}", cancel.by),
    )
}

/// Where and in which sessions events offer.
pub(crate) fn offered(events: &[Event]) -> impl Iterator<Item = (AgentId, SessionId)> {
    events.iter().filter_map(|event| match event {
        Event::AttemptOffered { placement, .. } => Some((placement.agent.clone(), placement.session.clone())),
        _ => None,
    })
}
