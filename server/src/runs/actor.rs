//! One task a live run.

use std::time::Duration;

use engine::{Command, Decision, Run};
use tokio::sync::{mpsc, watch};
use types::Placement;

use super::{Ask, Mail, RunError, Runs, append_one, batch, load};
use crate::{agents::Close, store::StoreError};

/// Asks that are decided together.
const TOGETHER: usize = 64;
/// How often a decision is made anew because another writer was first.
const CONFLICTS: usize = 8;
/// The longest sleep towards a deadline.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long a store that cannot write is left alone.
const STORE_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Actor {
    runs: Runs,
    run: Run,
    rx: mpsc::Receiver<Mail>,
    seq: watch::Sender<u64>,
}

impl Actor {
    pub(super) fn new(runs: Runs, run: Run, rx: mpsc::Receiver<Mail>, seq: watch::Sender<u64>) -> Self {
        Self { runs, run, rx, seq }
    }

    pub(super) async fn run(mut self) {
        let mut agents_changed = self.runs.inner.agents.changed();
        agents_changed.mark_changed();
        let shutdown = self.runs.inner.shutdown.clone();
        loop {
            if self.run.ended.is_some() && self.rx.is_empty() {
                break;
            }
            let mut mails = Vec::new();
            let waits_for_agents = self.run.queued().next().is_some();
            let sleep = self.until_deadline();
            tokio::select! {
                n = self.rx.recv_many(&mut mails, TOGETHER) => if n == 0 { break },
                () = tokio::time::sleep(sleep) => {}
                changed = agents_changed.changed(), if waits_for_agents => if changed.is_err() { break },
                () = shutdown.cancelled() => break,
            }
            if let Err(error) = self.process(mails).await {
                tracing::error!(run = %self.run.id, %error, "cannot go on with this run now");
                tokio::time::sleep(STORE_PAUSE).await;
                if let Err(error) = self.reload().await {
                    tracing::error!(run = %self.run.id, %error, "cannot load this run");
                }
            }
        }
        self.end().await;
    }

    /// Nobody reaches this task any more; what is in its mailbox is still answered.
    async fn end(mut self) {
        self.runs.forget(&self.run.id);
        self.rx.close();
        let mut rest = Vec::new();
        while let Some(mail) = self.rx.recv().await {
            rest.push(mail);
        }
        if self.runs.inner.shutdown.is_cancelled() {
            for mail in rest {
                answer(mail, Err(RunError::Stopping));
            }
        } else if let Err(error) = self.process(rest).await {
            tracing::error!(run = %self.run.id, %error, "last asks of this run were not taken");
        }
    }

    fn until_deadline(&self) -> Duration {
        let now = self.runs.inner.clock.now();
        self.run.next_deadline().map_or(SLEEP_MAX, |at| {
            Duration::from_millis(at.since(now)).min(SLEEP_MAX)
        })
    }

    /// Decides, appends, then tells.
    async fn process(&mut self, mails: Vec<Mail>) -> Result<(), StoreError> {
        let mut left = CONFLICTS;
        loop {
            let before = self.run.seq;
            let (decision, refused, reserved) = self.decide(&mails);
            let stored = if decision.events.is_empty() {
                Ok(0)
            } else {
                let stream = batch::stream(&self.run, before, &decision.events, self.runs.inner.clock.now());
                append_one(&self.runs.inner.store, stream).await
            };
            match stored {
                Ok(_) => {
                    self.told(&decision, mails, refused);
                    return self.check_sessions(&decision).await;
                }
                Err(error) => {
                    for placement in &reserved {
                        self.runs.inner.agents.release(placement);
                    }
                    if matches!(error, StoreError::Conflict { .. }) && left > 0 {
                        left -= 1;
                        self.reload().await?;
                        continue;
                    }
                    self.refuse(mails, &error);
                    return Err(error);
                }
            }
        }
    }

    fn decide(&mut self, mails: &[Mail]) -> (Decision, Vec<Option<engine::Rejected>>, Vec<Placement>) {
        let context = self.runs.inner.clock.context();
        let mut all = Decision::default();
        let mut refused = Vec::with_capacity(mails.len());
        for mail in mails {
            let decided = engine::decide(&mut self.run, command(&mail.ask), context);
            refused.push(decided.map(|decision| add(&mut all, decision)).err());
        }
        let due = self.run.next_deadline().is_some_and(|at| at <= context.now);
        if due {
            let snapshot = self.runs.inner.agents.snapshot();
            if let Ok(decision) = engine::decide(&mut self.run, Command::Tick { agents: &snapshot }, context)
            {
                add(&mut all, decision);
            }
        }
        let reserved = batch::offer(&mut self.run, &self.runs.inner.agents, context, &mut all);
        (all, refused, reserved)
    }

    fn told(&self, decision: &Decision, mails: Vec<Mail>, refused: Vec<Option<engine::Rejected>>) {
        batch::after_commit(&self.runs.inner.agents, &self.run, decision);
        self.seq.send_replace(self.run.seq);
        for (mail, refused) in mails.into_iter().zip(refused) {
            if let Some(why) = &refused {
                tracing::debug!(run = %self.run.id, ask = ?mail.ask, %why, "refused");
            }
            answer(mail, refused.map_or(Ok(()), |why| Err(why.into())));
        }
    }

    /// An offer whose session ended between the decision and the commit would wait for its lease's end: the newer
    /// session's Hello did not see it. So it is asked again here.
    async fn check_sessions(&mut self, decision: &Decision) -> Result<(), StoreError> {
        let moved: Vec<Ask> = batch::offered(&decision.events)
            .filter_map(|placement| {
                let (session, held) = self.runs.inner.agents.current(&placement.agent)?;
                (session != placement.session).then(|| Ask::Inventory {
                    agent: placement.agent.clone(),
                    session,
                    held,
                })
            })
            .collect();
        for ask in moved {
            Box::pin(self.process(vec![Mail { ask, reply: None }])).await?;
        }
        Ok(())
    }

    fn refuse(&self, mails: Vec<Mail>, error: &StoreError) {
        for mail in mails {
            // An agent's report that was not stored must come again: its session ends, and the next one says all anew.
            if let Ask::Report { from, .. } = &mail.ask {
                self.runs.inner.agents.close(from, Close::Store);
            }
            answer(mail, Err(error.clone().into()));
        }
    }

    async fn reload(&mut self) -> Result<(), StoreError> {
        let id = self.run.id.clone();
        let loaded = load(&self.runs.inner.store, &id).await?;
        self.run = loaded.ok_or_else(|| StoreError::Corrupt(format!("{id} is gone")))?;
        Ok(())
    }
}

fn add(all: &mut Decision, decision: Decision) {
    all.events.extend(decision.events);
    all.sends.extend(decision.sends);
}

fn answer(mail: Mail, result: Result<(), RunError>) {
    if let Some(reply) = mail.reply {
        // Whoever asked may have gone away; the decision stands.
        drop(reply.send(result));
    }
}

fn command(ask: &Ask) -> Command<'_> {
    match ask.clone() {
        Ask::Report {
            at,
            token,
            from,
            body,
        } => Command::Report {
            at,
            token,
            from,
            body,
        },
        Ask::Inventory { agent, session, .. } => match ask {
            Ask::Inventory { held, .. } => Command::Inventory {
                agent,
                session,
                held: held.as_ref(),
            },
            _ => unreachable!("the same ask"),
        },
        Ask::Expired { at, token } => Command::Expired { at, token },
        Ask::Resolve {
            step,
            index,
            resolution,
            by,
        } => Command::Resolve {
            step,
            index,
            resolution,
            by,
        },
        Ask::Cancel { by, reason } => Command::Cancel { by, reason },
    }
}
