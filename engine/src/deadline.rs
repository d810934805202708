//! What time does to a run: retries that are due, pickups that are over, batches to begin, people who did not answer.

use protocol::{
    Resolution,
    server::{Known, State},
};
use types::{IfLost, Timestamp, limits};
use workflow::FanOut;

use crate::{
    At, Event, Run,
    decide::Decider,
    placement::{Snapshot, Wanted, place},
    state::followed,
};

/// Something that is due at an instant.
enum Due {
    Retry { key: String, index: Option<u32> },
    Pickup(At),
    Ask(At),
    Overdue(At),
    Gather(usize),
}

impl Decider<'_> {
    pub(crate) fn tick(&mut self, agents: &Snapshot) {
        let now = self.now();
        let due: Vec<Due> = self
            .run
            .deadlines()
            .filter(|(at, _)| *at <= now)
            .map(|(_, due)| due)
            .collect();
        for due in due {
            match due {
                Due::Retry { key, index } => self.queue_item(&key, index),
                Due::Gather(i) => drop(self.dirty.insert(i)),
                Due::Pickup(at) => self.not_placed(&at, agents),
                Due::Ask(at) => {
                    let settled = self.settle_doubt(
                        &at,
                        Resolution::Fail,
                        "if-lost: ask, nobody answered in time".to_owned(),
                    );
                    debug_assert!(settled.is_ok(), "an attempt in doubt can be settled");
                }
                Due::Overdue(at) => {
                    let expired = self.tick_expired(&at);
                    debug_assert!(expired.is_ok(), "an attempt that is out can expire");
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
        };
        let waited = self.now().since(
            attempt
                .queued_at
                .max(attempt.offered_at.unwrap_or(attempt.queued_at)),
        );
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

impl Run {
    /// The next instant at which a `Tick` changes something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines().map(|(at, _)| at).min()
    }

    fn deadlines(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        self.active.iter().flat_map(move |&i| {
            let plan = &self.plan.steps[i];
            let gather = self.gather_due(i).map(|at| (at, Due::Gather(i)));
            let items = self.steps[i]
                .items
                .iter()
                .enumerate()
                .filter_map(move |(n, item)| {
                    if item.ended.is_some() {
                        return None;
                    }
                    let at = self.newest(i, n);
                    if let Some(due) = item.retry_at {
                        return Some((
                            due,
                            Due::Retry {
                                key: plan.key.clone(),
                                index: at.index,
                            },
                        ));
                    }
                    let attempt = item.attempts.last()?;
                    match attempt.life.state() {
                        State::Queued => Some((attempt.pickup_by, Due::Pickup(at))),
                        State::Lost { .. } if plan.if_lost == IfLost::Ask => {
                            Some((attempt.lost_at?.plus(plan.ask_ms), Due::Ask(at)))
                        }
                        // The backstop: an agent that renews the lease but never reports.
                        State::Out {
                            known: Known::Started,
                            ..
                        } => {
                            let work = &attempt.work;
                            let budget = work.timeout_ms
                                + work.grace_ms
                                + work.disconnect_ms
                                + limits::LEASE_MARGIN_MS;
                            Some((attempt.started_at?.plus(budget), Due::Overdue(at)))
                        }
                        _ => None,
                    }
                });
            items.chain(gather).collect::<Vec<_>>()
        })
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
        for key in followed(&self.plan.steps[i]) {
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
