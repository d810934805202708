//! What time does to a run: retries that are due, pickups that are over, batches to begin, people who did not answer.

use protocol::{
    Resolution,
    server::{Known, State},
};
use types::{IfLost, Millis, Timestamp, Whose, Work, WorkBody, limits};
use workflow::FanOut;

use crate::{
    At, Attempt, Event, Item, Run,
    decide::Decider,
    ending::By,
    placement::{Snapshot, Wanted, place},
};

enum Kind {
    Retry,
    Pickup,
    Ask,
    Overdue,
}

/// Something that is due at an instant.
enum Due {
    Retry(At),
    Pickup(At),
    Ask(At),
    Overdue(At),
    Gather(usize),
}

impl Decider<'_> {
    pub(crate) fn tick(&mut self, agents: &Snapshot, heard_since: Timestamp) {
        let now = self.now();
        let due: Vec<Due> = self
            .run
            .deadlines(heard_since)
            .filter(|(at, _)| *at <= now)
            .map(|(_, due)| due)
            .collect();
        for due in due {
            match due {
                Due::Retry(at) => self.queue_again(&at),
                Due::Gather(i) => drop(self.dirty.insert(i)),
                Due::Pickup(at) => self.not_placed(&at, agents),
                Due::Ask(at) => {
                    let settled = self.settle_doubt(&at, Resolution::Fail, By::NoAnswer);
                    debug_assert!(settled.is_ok(), "an attempt in doubt can be settled");
                }
                Due::Overdue(at) => {
                    let lease = self.run.attempt(&at).and_then(|attempt| attempt.life.lease());
                    if let Some(token) = lease.map(|lease| lease.token.clone()) {
                        let expired = self.expired(&at, token);
                        debug_assert!(expired.is_ok(), "an attempt that is out can expire");
                    }
                }
            }
        }
    }

    fn not_placed(&mut self, at: &At, agents: &Snapshot) {
        let Some(attempt) = self.run.attempt(at) else {
            return;
        };
        let wanted = Wanted {
            work: &attempt.work,
            runs_on: &attempt.runs_on,
            connection: attempt.connection.as_deref(),
            whose: Whose {
                workflow: Some(&self.run.plan.name),
                step: Some(&at.step),
                image_is_open: false,
            },
            crashes: Some(&attempt.crashes),
        };
        let waited = self.now().since(attempt.queued_at);
        let why = place(agents, &wanted)
            .err()
            .unwrap_or_else(|| "an agent became free only now".to_owned());
        let reason = format!("not placed in {waited} ms: {why}");
        self.emit(Event::AttemptNotPlaced {
            at: at.clone(),
            reason,
        });
        self.after_attempt(at);
    }
}

impl Attempt {
    /// The backstop, for an agent that renews its lease and never reports an end: the attempt's own time, which the
    /// agent measures, and all that may come on top. After a stop, the stop's time and the lease's.
    fn overdue_at(&self, known: Known, pickup_ms: Millis, heard_since: Timestamp) -> Option<Timestamp> {
        let work = &self.work;
        let lease = work.disconnect_ms.saturating_add(limits::LEASE_MARGIN_MS);
        let (ready, after) = beside(work);
        let ending = work.grace_ms.saturating_add(after).saturating_add(lease);
        let running = work.timeout_ms.saturating_add(ending);
        let end = match known {
            Known::Started => self.started_at?.plus(running),
            // It may have to fetch an image first.
            Known::Offered | Known::Accepted => self
                .offered_at?
                .plus(pickup_ms.saturating_add(ready).saturating_add(running)),
        };
        let end = self.stopping_at.map_or(end, |at| end.min(at.plus(ending)));
        // Its report may wait where the server did not hear it: the agent has a whole lease to say it.
        Some(end.max(heard_since.plus(lease)))
    }
}

/// What a step's services may take: to get ready before it, and to end after it.
fn beside(work: &Work) -> (Millis, Millis) {
    let WorkBody::Container(container) = &work.body else {
        return (0, 0);
    };
    let services = container.services.values();
    let ready = services.filter_map(|service| Some(service.ready.as_ref()?.timeout_ms));
    match ready.max() {
        ready if !container.services.is_empty() => (ready.unwrap_or(0), work.grace_ms),
        _ => (0, 0),
    }
}

impl Run {
    /// The next instant at which a `Tick` changes something. The server has heard its agents without a break since
    /// `heard_since`: no silence from before that is held against an agent or a person.
    #[must_use]
    pub fn next_deadline(&self, heard_since: Timestamp) -> Option<Timestamp> {
        self.deadlines(heard_since).map(|(at, _)| at).min()
    }

    fn deadlines(&self, heard_since: Timestamp) -> impl Iterator<Item = (Timestamp, Due)> {
        self.active.iter().flat_map(move |&i| {
            let gather = self.gather_due(i).map(|at| (at, Due::Gather(i)));
            let items = self.steps[i]
                .items
                .iter()
                .enumerate()
                .filter_map(move |(n, item)| {
                    if item.ended.is_some() {
                        return None;
                    }
                    let due = self.item_due(i, item, heard_since)?;
                    let at = self.newest(i, n);
                    Some(match due {
                        (due, Kind::Retry) => (due, Due::Retry(at)),
                        (due, Kind::Pickup) => (due, Due::Pickup(at)),
                        (due, Kind::Ask) => (due, Due::Ask(at)),
                        (due, Kind::Overdue) => (due, Due::Overdue(at)),
                    })
                });
            items.chain(gather).collect::<Vec<_>>()
        })
    }

    /// When time does something to an item, and what.
    fn item_due(&self, i: usize, item: &Item, heard_since: Timestamp) -> Option<(Timestamp, Kind)> {
        if let Some(due) = item.retry_at {
            return Some((due, Kind::Retry));
        }
        let plan = &self.plan.steps[i];
        let attempt = item.attempts.last()?;
        // Never longer than what the step gives anybody: it changes nothing for what began after that.
        let not_before = |given: Millis| heard_since.plus(given.min(limits::AGENTS_BACK_MS));
        match attempt.life.state() {
            State::Queued => {
                let due = attempt.pickup_by.max(not_before(plan.pickup_ms));
                Some((due, Kind::Pickup))
            }
            State::Lost { .. } if plan.if_lost == IfLost::Ask => {
                let due = attempt.lost_at?.plus(plan.ask_ms);
                Some((due.max(not_before(plan.ask_ms)), Kind::Ask))
            }
            State::Out { known, .. } => {
                let due = attempt.overdue_at(*known, plan.pickup_ms, heard_since)?;
                Some((due, Kind::Overdue))
            }
            _ => None,
        }
    }

    fn gather_due(&self, i: usize) -> Option<Timestamp> {
        let Some(FanOut::Follow { gather_ms, .. }) = self.plan.steps[i].fan_out else {
            return None;
        };
        if !self.all_items_over(i) {
            return None;
        }
        let (landed, first, _) = self.landed(i);
        if landed.is_empty() {
            None
        } else {
            first.map(|at| at.plus(gather_ms))
        }
    }

    /// What a follower has not taken yet: whose items, when the first of them ended, and whether nothing can follow.
    pub(crate) fn landed(&self, i: usize) -> (Vec<(String, u32)>, Option<Timestamp>, bool) {
        let mut landed = Vec::new();
        let mut first = None;
        let mut all_over = true;
        for key in self.plan.steps[i].followed() {
            let Some(f) = self.position(key) else { continue };
            all_over &= self.steps[f].outcome().is_some();
            for (n, item) in self.steps[f].items.iter().enumerate() {
                let n = u32::try_from(n).unwrap_or(u32::MAX);
                let Some(end) = item
                    .ended
                    .as_ref()
                    .filter(|_| !self.steps[i].consumed.contains(&(f, n)))
                else {
                    continue;
                };
                first = Some(first.map_or(end.at, |at: Timestamp| at.min(end.at)));
                landed.push((key.clone(), n));
            }
        }
        (landed, first, all_over)
    }
}
