//! Carries out what the desk wants: everything is written first, by one write and at most one flush, then comes the rest in
//! its order.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use node::clock;
use protocol::{
    agent::{Ending, Message, Phase},
    ids::{Action, DeskLease},
};
use runtime::Go;
use tokio::sync::oneshot;
use types::{AttemptReport, LeaseToken, Timestamp, WorkBody};

use super::{Event, Round, Supervisor, event::Reply};
use crate::{
    attempt::Job,
    convert,
    error::{AgentError, tried},
    spool::{Record, StopCause},
};

/// A start that takes longer is announced as accepted.
const SLOW: Duration = Duration::from_millis(250);
/// How long a start is kept back, so that the server commits it together with the end of what is quick: an action, or a container
/// that does next to nothing. An agent that dies meanwhile tells it all the same: from its spool or, where that is lost, by
/// what lies in the attempt's directory.
const KEPT_BACK: Duration = Duration::from_millis(20);
/// What the disk says when it takes nothing any more.
const UNWRITABLE: &str = "the spool cannot be written: nothing may be started or reported any more";
/// How long what an attempt left stays: its successor, which starts now, goes first.
const REMOVAL: Duration = Duration::from_millis(250);

/// What lets go the attempts of a round.
type Gates = BTreeMap<LeaseToken, oneshot::Sender<()>>;

impl Supervisor {
    pub(super) fn act(&mut self, round: Round) -> Result<(), AgentError> {
        let Round {
            met,
            dial,
            actions,
            replies,
        } = round;
        let mut records = Vec::new();
        let mut sync = self.unflushed.is_due(tokio::time::Instant::now());
        if let Some(count) = dial {
            records.push(Record::Dial { count, left: false });
            sync = true;
        }
        records.extend(met.into_iter().map(|(token, meta)| Record::Met { token, meta }));
        // Of a lease that goes through several phases only the last is written: a write that breaks off leaves none between.
        let last: BTreeMap<LeaseToken, usize> = actions
            .iter()
            .enumerate()
            .filter_map(|(n, action)| match action {
                Action::Persist { token, .. } => Some((token.clone(), n)),
                _ => None,
            })
            .collect();
        for (n, action) in actions.iter().enumerate() {
            match action {
                Action::Persist { token, lease } => {
                    match flush_of(lease) {
                        // Told to nobody, it is kept nowhere else.
                        Flush::Soon if self.link.is_some() => {
                            self.unflushed.end(token, tokio::time::Instant::now())
                        }
                        Flush::Now | Flush::Soon => sync = true,
                        Flush::Whenever => {}
                    }
                    if last.get(token) == Some(&n) {
                        records.push(self.record(token, lease));
                    }
                }
                Action::Erase { token } => records.push(Record::Erase { token: token.clone() }),
                Action::Send { .. } | Action::Start { .. } | Action::Stop { .. } | Action::Remove { .. } => {}
            }
        }
        self.put(records)?;
        let mut gates = self.prepare(&actions);
        if sync {
            self.flush()?;
        }
        if actions.iter().any(is_spooled_end) {
            failpoint::reach("spool.post");
        }
        let started: Vec<LeaseToken> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Start { token } => Some(token.clone()),
                _ => None,
            })
            .collect();
        for action in actions {
            self.carry_out(action, &started, &mut gates);
        }
        for reply in replies {
            match reply {
                Reply::Dialled(reply, dialled) => drop(reply.send(dialled)),
                Reply::Live(reply) => drop(reply.send(self.beat())),
            }
        }
        Ok(())
    }

    /// One action, once all that must be is on the disk.
    fn carry_out(&mut self, action: Action, started: &[LeaseToken], gates: &mut Gates) {
        match action {
            Action::Persist { token, lease } => self.settle(&token, &lease),
            Action::Erase { token } => self.forget(&token),
            // Started follows at once, and implies it.
            Action::Send {
                token,
                report: Message::Accepted,
            } if started.contains(&token) => {}
            Action::Send {
                token,
                report: Message::Started,
            } => self.started(token),
            Action::Send { token, report } => {
                self.announce(&token);
                self.send(&token, &report, clock::wall());
            }
            Action::Start { token } => {
                if let Some(meta) = self.metas.get(&token) {
                    failpoint::reach_of("create.pre", &meta.key.step);
                }
                if let Some(gate) = gates.remove(&token) {
                    self.start(token, gate);
                }
            }
            Action::Stop { token } => self.end(&token),
            // Only noted: what is left is removed when the logs are out, after a restart too.
            Action::Remove { token } => {
                failpoint::reach("ack.post");
                self.removable_now(token);
            }
        }
    }

    fn record(&self, token: &LeaseToken, lease: &DeskLease) -> Record {
        Record::Lease {
            token: token.clone(),
            lease: lease.clone(),
            boot: self.context.boot.clone(),
            cause: self.causes.get(token).cloned(),
            crashes: self.suspects.crashes(token),
            // The spool carries on what it doubts.
            doubted: false,
            at: clock::wall(),
        }
    }

    /// Writes records, and waits for the disk with `sync`.
    pub(super) fn write(&mut self, records: Vec<Record>, sync: bool) -> Result<(), AgentError> {
        self.put(records)?;
        if sync { self.flush() } else { Ok(()) }
    }

    fn put(&mut self, records: Vec<Record>) -> Result<(), AgentError> {
        if records.is_empty() {
            return Ok(());
        }
        self.spool.write(records).map_err(tried(UNWRITABLE))
    }

    fn flush(&mut self) -> Result<(), AgentError> {
        let spool = &mut self.spool;
        let flushed = node::blocking::here(|| {
            failpoint::reach("spool.flush");
            spool.flush()
        });
        flushed
            .map_err(|_| AgentError::Panicked)?
            .map_err(tried(UNWRITABLE))?;
        for token in self.unflushed.flushed() {
            self.remove(token);
        }
        Ok(())
    }

    /// What starts is made ready while the disk flushes that it was meant, and not begun before.
    fn prepare(&mut self, actions: &[Action]) -> Gates {
        let mut gates = Gates::new();
        for action in actions {
            if let Action::Start { token } = action
                && let Some(job) = self.job(token)
            {
                let (gate, go) = Go::gate();
                self.tasks.spawn("attempt", self.over.clone(), job.start(go));
                gates.insert(token.clone(), gate);
            }
        }
        gates
    }

    /// A lease has come into a phase.
    fn settle(&mut self, token: &LeaseToken, lease: &DeskLease) {
        if matches!(lease.phase, Phase::Finished { .. } | Phase::Tombstone) {
            self.leases.remove(token);
            self.reins.remove(token);
            self.causes.remove(token);
            if let Some(meta) = self.metas.get_mut(token) {
                meta.work_json = String::new();
            }
        }
    }

    fn forget(&mut self, token: &LeaseToken) {
        self.metas.remove(token);
        self.causes.remove(token);
        self.suspects.forget(token);
        self.unannounced.remove(token);
    }

    /// It is announced in a moment.
    fn started(&mut self, token: LeaseToken) {
        if self.link.is_none() {
            return;
        }
        self.unannounced.insert(token.clone(), clock::wall());
        let events = self.events.clone();
        self.tasks.spawn("announcement", self.over.clone(), async move {
            tokio::time::sleep(KEPT_BACK).await;
            drop(events.send(Event::Announce(token)).await);
        });
    }

    /// Announces a start that was kept back.
    pub(super) fn announce(&mut self, token: &LeaseToken) {
        if let Some(at) = self.unannounced.remove(token) {
            self.send(token, &Message::Started, at);
        }
    }

    pub(super) fn send(&mut self, token: &LeaseToken, message: &Message<AttemptReport>, at: Timestamp) {
        if self.link.is_none() {
            return;
        }
        let Some(meta) = self.metas.get(token) else { return };
        let crashes = self.suspects.crashes(token);
        match convert::report(token, &meta.key, message, crashes, at.unix_ms()) {
            Ok(up) => self.say(up),
            Err(error) => {
                tracing::error!(attempt = %self.shown(token), %error, "a report cannot be written down")
            }
        }
    }

    fn start(&self, token: LeaseToken, gate: oneshot::Sender<()>) {
        tracing::debug!(attempt = %self.shown(&token), "starts");
        // Without anybody to hear it, it was ended meanwhile.
        let _ended = gate.send(());
        let events = self.events.clone();
        self.tasks.spawn("slow start", self.over.clone(), async move {
            tokio::time::sleep(SLOW).await;
            drop(events.send(Event::Slow(token)).await);
        });
    }

    /// Stays with containers that were found running.
    pub(super) fn attach_found(&mut self) {
        for (token, running) in std::mem::take(&mut self.found) {
            if let Some(job) = self.job(&token) {
                self.tasks
                    .spawn("attempt", self.over.clone(), job.attach(running));
            }
        }
    }

    fn job(&mut self, token: &LeaseToken) -> Option<Job> {
        let meta = self.metas.get(token)?.clone();
        let container = meta.work().ok().and_then(|work| match work.body {
            WorkBody::Container(container) => Some(container),
            WorkBody::Action(_) => None,
        });
        let by_itself = container.is_some();
        let services = container.map_or_else(Vec::new, |container| container.services.into_keys().collect());
        self.logs.add(token, &meta.key, by_itself, services);
        self.logging.insert(token.clone());
        let reins = self.reins.entry(token.clone()).or_default().clone();
        Some(Job {
            context: Arc::clone(&self.context),
            token: token.clone(),
            meta,
            reins,
            events: self.events.clone(),
            logs: self.logs.clone(),
        })
    }

    fn end(&mut self, token: &LeaseToken) {
        let cause = self.causes.get(token).cloned().unwrap_or(StopCause::Asked);
        self.reins.entry(token.clone()).or_default().stop(cause);
    }

    fn removable_now(&mut self, token: LeaseToken) {
        if self.logging.contains(&token) {
            self.logs.acknowledged(&token);
            self.removable.insert(token);
        } else {
            self.remove(token);
        }
    }

    /// Removes what is left of an attempt, once its end is on the disk: of one that lies there as started, without anything that it
    /// left, it would be said that it never was.
    pub(super) fn remove(&mut self, token: LeaseToken) {
        let Some(token) = self.unflushed.or_later(token) else {
            return;
        };
        let context = Arc::clone(&self.context);
        self.tasks.spawn("removal", self.over.clone(), async move {
            tokio::time::sleep(REMOVAL).await;
            crate::sweep::remove(&context, &token).await;
        });
    }
}

fn is_spooled_end(action: &Action) -> bool {
    matches!(action, Action::Persist { lease, .. } if matches!(lease.phase, Phase::Finished { .. }))
}

/// When a lease must be on the disk.
enum Flush {
    /// Before anything else is done.
    Now,
    /// In a moment, and what is done next may come before it.
    Soon,
    /// With what is flushed next.
    Whenever,
}

/// At once what the server could rely on, or what must not happen twice. How an attempt ended is told first: the server has it
/// on its own disk before this one would, and nobody does anything because it is on this. If the host loses its power
/// between, and the server did not hear of it, then a container's record says how it ended, and an action may have run. A
/// tombstone or *running* that is lost with the power is found out again: the report is acknowledged again, and in another
/// boot nothing is believed of a start.
fn flush_of(lease: &DeskLease) -> Flush {
    match lease.phase {
        Phase::Finished {
            ending: Ending::Finished { .. },
        } => Flush::Soon,
        Phase::Accepted | Phase::Starting | Phase::Finished { .. } => Flush::Now,
        Phase::Running if lease.stopping => Flush::Now,
        Phase::Running | Phase::Tombstone => Flush::Whenever,
    }
}
