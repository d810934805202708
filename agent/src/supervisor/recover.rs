//! After a restart: what became of each lease meanwhile.

use std::sync::Arc;

use node::clock::{self, Boot};
use protocol::agent::{Ending, Input, Phase, Seen};
use runtime::{Ended, Found};
use types::{AttemptReport, LeaseToken, Work, WorkBody, limits};

use super::{Round, Supervisor, leases::LEASE_MIN_MS, unrecorded::Unrecorded};
use crate::{
    attempt::{self, pod},
    error::{AgentError, tried},
    spool::{Held, StopCause},
    sweep,
};

impl Supervisor {
    /// Judges leases, finds containers, goes on with logs. To be done before anything else.
    ///
    /// # Errors
    /// Containers are in this agent's care and it has no runtime, or the spool cannot be written.
    pub(crate) async fn recover(&mut self) -> Result<(), AgentError> {
        let held = self.spool.held().clone();
        self.recall(&held);
        self.meet_unrecorded(&held)?;
        self.refuse_without_runtime(&held)?;
        let kept = self.leases.kept(&self.context.boot);
        let mut round = Round::default();
        for (token, held) in &held {
            match held.lease.phase {
                Phase::Accepted | Phase::Starting | Phase::Running => {
                    self.recover_live(token, held, kept.get(token).copied(), &mut round)
                        .await;
                }
                Phase::Finished { .. } | Phase::Tombstone => self.recover_over(token, held),
            }
        }
        self.next_suspect(&mut round);
        self.act(round)?;
        self.attach_found();
        Ok(())
    }

    /// What adopted steps hold is masked before a byte of them is looked at.
    fn recall(&self, held: &std::collections::BTreeMap<LeaseToken, Held>) {
        for (token, secrets) in self.context.kept.all() {
            if held.contains_key(&token) {
                for (name, secret) in &secrets {
                    self.context.masks.learn(&format!("{name} of {token}"), secret);
                }
            } else {
                self.context.kept.forget(&token);
            }
        }
    }

    /// What lies in the attempts' directory and is in no record: the server is told that they may have run.
    fn meet_unrecorded(
        &mut self,
        held: &std::collections::BTreeMap<LeaseToken, Held>,
    ) -> Result<(), AgentError> {
        let dir = &self.context.dir;
        let mut found = dir
            .leases()
            .map_err(tried("cannot look which attempts have a directory"))?;
        found.retain(|token| !held.contains_key(token));
        if !found.is_empty() {
            let tokens: Vec<_> = found.iter().map(LeaseToken::as_str).collect();
            tracing::warn!(
                ?tokens,
                "the spool does not know these attempts, of which something lies here: the server is told that they may have run"
            );
        }
        self.unrecorded = Unrecorded::open(dir.unrecorded(), found, clock::wall())
            .map_err(tried("cannot read which attempts the spool did not know"))?;
        Ok(())
    }

    fn refuse_without_runtime(
        &self,
        held: &std::collections::BTreeMap<LeaseToken, Held>,
    ) -> Result<(), AgentError> {
        let Err(why) = &self.context.runtimes else {
            return Ok(());
        };
        let is_container = |held: &&Held| {
            matches!(held.lease.phase, Phase::Starting | Phase::Running)
                && held.boot == self.context.boot
                && held
                    .meta
                    .work()
                    .is_ok_and(|work| matches!(work.body, WorkBody::Container(_)))
        };
        match held.values().filter(is_container).count() {
            0 => Ok(()),
            count => Err(AgentError::Orphans {
                count,
                why: why.clone(),
            }),
        }
    }

    async fn recover_live(
        &mut self,
        token: &LeaseToken,
        held: &Held,
        renewed: Option<Boot>,
        round: &mut Round,
    ) {
        let work = held.meta.work().ok();
        let same_boot = held.boot == self.context.boot;
        let goes = work
            .as_ref()
            .map_or(limits::DISCONNECT_RERUN_MS, |work| work.disconnect_ms);
        // Instants of another boot say nothing: such a lease is over.
        let base = if same_boot {
            held.meta.base.max(renewed.unwrap_or_default())
        } else {
            Boot::default()
        };
        let over = !same_boot || Boot::now() >= base.plus(goes.max(LEASE_MIN_MS));
        self.leases.insert(token.clone(), base, goes);
        if over {
            self.leases.judge(token);
            self.causes.entry(token.clone()).or_insert(StopCause::LeaseOver);
            self.tell(Input::LeaseEnded { token: token.clone() }, round);
        }
        if !self.is_live(token) {
            return;
        }
        let seen = self.seen(token, held, work.as_ref(), same_boot).await;
        tracing::info!(attempt = %self.shown(token), seen = word(&seen), "recovered");
        if self.crashed && held.lease.phase == Phase::Starting && seen == Seen::NeverStarted && !over {
            self.suspect(token, round);
        } else {
            let token = token.clone();
            self.tell(Input::Recovered { token, seen }, round);
        }
        self.tell(Input::Ready { token: token.clone() }, round);
        if !self.is_live(token) {
            self.log_over(token, held);
        }
    }

    /// Its logs may still be on their way, and its services may still run.
    fn log_over(&mut self, token: &LeaseToken, held: &Held) {
        let dir = self.context.dir.attempt(token);
        // One that was given back has no log: to tell its end would end that of whoever runs the attempt in its place.
        let has_log = !self.is_given_back(token);
        if has_log {
            self.logs
                .add(token, &held.meta.key, false, pod::services_seen(&dir));
            self.logging.insert(token.clone());
        }
        let (context, logs, token) = (Arc::clone(&self.context), self.logs.clone(), token.clone());
        self.tasks.spawn("services", self.over.clone(), async move {
            pod::down(&context, &dir, None).await;
            if has_log {
                logs.finished(&token, sweep::ends(&context, &token));
            }
        });
    }

    fn is_given_back(&self, token: &LeaseToken) -> bool {
        let lease = self.desk.leases().get(token);
        lease.is_some_and(|lease| {
            matches!(
                lease.phase,
                Phase::Finished {
                    ending: Ending::Released | Ending::Declined { .. }
                }
            )
        })
    }

    /// What can be said of an attempt.
    async fn seen(
        &mut self,
        token: &LeaseToken,
        held: &Held,
        work: Option<&Work>,
        same_boot: bool,
    ) -> Seen<AttemptReport> {
        let absent = if same_boot && !held.doubted {
            Seen::NeverStarted
        } else {
            Seen::Unknown
        };
        let Some(work) = work else { return absent };
        let dir = self.context.dir.attempt(token);
        let runtime = match (&work.body, &self.context.runtimes) {
            (WorkBody::Container(_), Ok(runtimes)) => match runtimes.of(&dir) {
                Ok(runtime) => Arc::clone(runtime),
                Err(error) => {
                    tracing::error!(attempt = %held.meta.key, %error, "cannot find out what became of a container");
                    return Seen::Unknown;
                }
            },
            // It lived in the process that is gone; without its directory it had not begun.
            (WorkBody::Action(_), _) if dir.exists() => return Seen::Unknown,
            _ => return absent,
        };
        match runtime.adopt(&dir).await {
            Ok(Found::Running(running)) => {
                self.found.insert(token.clone(), running);
                Seen::Running
            }
            // Its services may live, and what it left is still to be delivered: it is followed to the end that it had.
            Ok(Found::Ended(Ended::Finished(record)))
                if has_services(work) || !record.artifacts.is_empty() =>
            {
                self.found.insert(token.clone(), Box::new(attempt::Over(record)));
                Seen::Running
            }
            Ok(Found::Ended(Ended::Finished(record))) => {
                let cause = self.causes.get(token).or(held.cause.as_ref());
                Seen::Exited(attempt::of_exit(&self.context, work, &dir, &record, cause))
            }
            Ok(Found::Ended(Ended::NeverStarted(_))) => absent,
            Ok(Found::Ended(Ended::Lost)) => Seen::Unknown,
            Err(error) => {
                tracing::error!(attempt = %held.meta.key, %error, "cannot find out what became of a container");
                Seen::Unknown
            }
        }
    }

    fn recover_over(&mut self, token: &LeaseToken, held: &Held) {
        let is_tomb = held.lease.phase == Phase::Tombstone;
        if !self.context.dir.attempt(token).exists() {
            return;
        }
        self.log_over(token, held);
        if is_tomb {
            self.logs.acknowledged(token);
            self.removable.insert(token.clone());
        }
    }
}

fn has_services(work: &Work) -> bool {
    matches!(&work.body, WorkBody::Container(container) if !container.services.is_empty())
}

const fn word(seen: &Seen<AttemptReport>) -> &'static str {
    match seen {
        Seen::Running => "running",
        Seen::Exited(_) => "exited",
        Seen::NeverStarted => "never started",
        Seen::Unknown => "unknown",
    }
}
