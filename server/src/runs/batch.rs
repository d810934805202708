//! What a decision needs around it: offers for what is ready, the head, the leases, and the messages after the commit.

use engine::{Command, Context, Decision, Event, Run, RunStarted, ToAgent, history, placement::Wanted};
use proto::v1;
use protocol::server::{Send, State};
use types::{Placement, Timestamp};

use crate::{
    agents::Agents,
    api::convert,
    clock::Clock,
    store::{Head, NewEvent, RunHead, StreamAppend, StreamId},
};

/// A run that is decided and not stored yet.
pub(crate) struct Prepared {
    pub(crate) run: Run,
    decision: Decision,
    reserved: Vec<Placement>,
    at: Timestamp,
}

pub(crate) fn prepare(agents: &Agents, clock: Clock, first: RunStarted) -> Prepared {
    let context = clock.context();
    let (mut run, mut decision) = engine::start(first, context);
    let reserved = offer(&mut run, agents, context, &mut decision);
    Prepared {
        run,
        decision,
        reserved,
        at: context.now,
    }
}

impl Prepared {
    pub(crate) fn append(&self) -> StreamAppend {
        stream(&self.run, 0, &self.decision.events, self.at)
    }

    /// Not stored: its slots are free again.
    pub(crate) fn abandon(&self, agents: &Agents) {
        for placement in &self.reserved {
            agents.release(placement);
        }
    }

    /// Stored: its leases are armed and its offers go out.
    pub(crate) fn deliver(self, agents: &Agents) -> Run {
        after_commit(agents, &self.run, &self.decision);
        self.run
    }
}

/// Offers every queued attempt that an agent takes now.
pub(crate) fn offer(run: &mut Run, agents: &Agents, context: Context, into: &mut Decision) -> Vec<Placement> {
    let mut reserved = Vec::new();
    let queued: Vec<engine::At> = run.queued().map(|(at, _)| at).collect();
    for at in queued {
        let Some(attempt) = run.attempt(&at) else { continue };
        let wanted = Wanted {
            work: &attempt.work,
            runs_on: &attempt.runs_on,
            connection: attempt.connection.as_deref(),
        };
        let Ok(placement) = agents.reserve(&wanted) else {
            continue;
        };
        match engine::decide(
            run,
            Command::Offer {
                at,
                placement: placement.clone(),
            },
            context,
        ) {
            Ok(decision) => {
                into.events.extend(decision.events);
                into.sends.extend(decision.sends);
                reserved.push(placement);
            }
            Err(error) => {
                tracing::error!(run = %run.id, %error, "a queued attempt was not to be offered");
                agents.release(&placement);
            }
        }
    }
    reserved
}

/// The events as a stream's append.
pub(crate) fn stream(run: &Run, expected_seq: u64, events: &[Event], at: Timestamp) -> StreamAppend {
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

/// After the commit: the book of leases follows, then the agents hear of it.
pub(crate) fn after_commit(agents: &Agents, run: &Run, decision: &Decision) {
    for event in &decision.events {
        book(agents, run, event);
    }
    for to in &decision.sends {
        send(agents, run, to);
    }
}

fn book(agents: &Agents, run: &Run, event: &Event) {
    match event {
        Event::AttemptOffered { at, placement } => {
            let budget = run.attempt(at).map_or(0, |attempt| attempt.work.disconnect_ms);
            let (token, agent) = (placement.token.clone(), placement.agent.clone());
            agents.lease(token, run.id.clone(), at.clone(), agent, budget, false);
        }
        Event::AttemptReturned { token, .. }
        | Event::AttemptFinished { token, .. }
        | Event::AttemptSettled { token, .. } => agents.unlease(token),
        Event::AttemptLost { token, .. } => agents.lost(token),
        Event::AttemptWithdrawn { at } => {
            if let Some(lease) = run.attempt(at).and_then(|attempt| attempt.life.lease()) {
                agents.unlease(&lease.token);
            }
        }
        _ => {}
    }
}

/// The leases of a run that was loaded, armed in full.
pub(crate) fn arm(agents: &Agents, run: &Run) {
    for (at, attempt) in run.live() {
        let lost = matches!(attempt.life.state(), State::Lost { .. });
        if let Some(lease) = attempt.life.lease() {
            let budget = attempt.work.disconnect_ms;
            agents.lease(
                lease.token.clone(),
                run.id.clone(),
                at,
                lease.agent.clone(),
                budget,
                lost,
            );
        }
    }
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

/// The offers among events, for the check of their sessions.
pub(crate) fn offered(events: &[Event]) -> impl Iterator<Item = &Placement> {
    events.iter().filter_map(|event| match event {
        Event::AttemptOffered { placement, .. } => Some(placement),
        _ => None,
    })
}

