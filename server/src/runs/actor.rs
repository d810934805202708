//! One task a live run.

use std::{collections::BTreeMap, time::Duration};

use engine::{Command, Decision, Run};
use tokio::sync::{mpsc, watch};
use types::{AgentId, SessionId, Timestamp};

use super::{Ask, Doing, Mail, RunError, Runs, append_one, batch};
use crate::{agents::Close, store::StoreError};

/// Asks that are decided together.
const TOGETHER: usize = 64;
/// How often a decision is made anew because another writer was first.
const CONFLICTS: usize = 8;
/// The longest sleep towards a deadline.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long a store that cannot write is left alone.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// The sleep after a deadline that was due and changed nothing: a defect, which must not spin a core.
const STUCK: Duration = Duration::from_secs(1);

pub(super) struct Actor {
    runs: Runs,
    run: Run,
    rx: mpsc::Receiver<Mail>,
    seq: watch::Sender<u64>,
    stuck: bool,
}

/// What was decided and is not stored yet.
struct Decided {
    all: Decision,
    refused: Vec<Option<engine::Rejected>>,
    reserved: batch::Reserved,
    at: Timestamp,
}

impl Actor {
    pub(super) fn new(runs: Runs, run: Run, rx: mpsc::Receiver<Mail>, seq: watch::Sender<u64>) -> Self {
        Self {
            runs,
            run,
            rx,
            seq,
            stuck: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut agents_changed = self.runs.inner.agents.changed();
        agents_changed.mark_changed();
        let shutdown = self.runs.inner.shutdown.clone();
        // The first offers of a run are decided before its task is there.
        let mut done = self.check_sessions(batch::out(&self.run).collect()).await;
        loop {
            if let Err(error) = done {
                tracing::error!(run = %self.run.id, %error, "cannot go on with this run now");
                if !self.recover().await {
                    break;
                }
            }
            if self.run.ended.is_some() && self.rx.is_empty() {
                break;
            }
            let mut mails = Vec::new();
            let waits_for_agents = self.run.queued().next().is_some();
            let sleep = self.until_deadline();
            tokio::select! {
                n = self.rx.recv_many(&mut mails, TOGETHER) => {
                    if n == 0 { break }
                    self.more(&mut mails).await;
                }
                () = tokio::time::sleep(sleep) => {}
                changed = agents_changed.changed(), if waits_for_agents => if changed.is_err() { break },
                () = shutdown.cancelled() => break,
            }
            done = self.process(mails).await;
        }
        self.end().await;
    }

    /// Takes what came together with it, such as the start and the end of one attempt: one commit for both.
    async fn more(&mut self, mails: &mut Vec<Mail>) {
        tokio::task::yield_now().await;
        while mails.len() < TOGETHER
            && let Ok(mail) = self.rx.try_recv()
        {
            mails.push(mail);
        }
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
        } else if !rest.is_empty()
            && let Err(error) = self.process(rest).await
        {
            tracing::error!(run = %self.run.id, %error, "last asks of this run were not taken");
        }
    }

    fn until_deadline(&self) -> Duration {
        let now = self.runs.inner.clock.now();
        let heard_since = self.runs.inner.agents.heard_since();
        let sleep = self.run.next_deadline(heard_since).map_or(SLEEP_MAX, |at| {
            Duration::from_millis(at.since(now)).min(SLEEP_MAX)
        });
        if self.stuck { sleep.max(STUCK) } else { sleep }
    }

    /// Decides, appends, then tells. After an error the state is not to be trusted before `recover`.
    async fn process(&mut self, mails: Vec<Mail>) -> Result<(), StoreError> {
        let mut left = CONFLICTS;
        loop {
            let before = self.run.seq;
            let decided = self.decide(&mails).await;
            let stored = if decided.all.events.is_empty() {
                Ok(0)
            } else {
                let stream = batch::stream(&self.run, before, &decided.all.events, decided.at);
                append_one(&self.runs.inner.store, stream).await
            };
            let Err(mut error) = stored else {
                decided.reserved.keep();
                self.told(&decided.all, mails, decided.refused);
                return self
                    .check_sessions(batch::offered(&decided.all.events).collect())
                    .await;
            };
            drop(decided.reserved);
            if matches!(error, StoreError::Conflict { .. }) && left > 0 {
                left -= 1;
                match self.reload().await {
                    Ok(()) => continue,
                    Err(unread) => error = unread,
                }
            }
            self.refuse(mails, &error);
            return Err(error);
        }
    }

    async fn decide(&mut self, mails: &[Mail]) -> Decided {
        let runs = self.runs.clone();
        let _turn = runs
            .inner
            .black_box
            .turn(&Doing::Decide(self.run.id.clone()))
            .await;
        failpoint::reach_of("run.decide", &self.run.plan.name);
        let agents = std::sync::Arc::clone(&self.runs.inner.agents);
        let context = self.runs.inner.clock.context();
        let mut all = Decision::default();
        let mut refused = Vec::with_capacity(mails.len());
        for mail in mails {
            // The inventory of a session that was superseded proves nothing: what it lacks may have been offered in the
            // newer one.
            if let Ask::Inventory { agent, session, .. } = &mail.ask
                && !agents.is_current(agent, session)
            {
                refused.push(None);
                continue;
            }
            let decided = engine::decide(&mut self.run, command(&mail.ask), context);
            refused.push(decided.map(|decision| add(&mut all, decision)).err());
        }
        self.stuck = false;
        let heard_since = agents.heard_since();
        if self
            .run
            .next_deadline(heard_since)
            .is_some_and(|at| at <= context.now)
        {
            let snapshot = agents.snapshot();
            let tick = Command::Tick {
                agents: &snapshot,
                heard_since,
            };
            let ticked = engine::decide(&mut self.run, tick, context);
            self.stuck = !ticked.as_ref().is_ok_and(|decision| !decision.events.is_empty());
            if self.stuck {
                tracing::error!(run = %self.run.id, "a deadline is due and nothing comes of it");
            }
            if let Ok(decision) = ticked {
                add(&mut all, decision);
            }
        }
        let reserved = batch::offer(&mut self.run, &agents, context, &mut all);
        Decided {
            all,
            refused,
            reserved,
            at: context.now,
        }
    }

    fn told(&self, decision: &Decision, mails: Vec<Mail>, refused: Vec<Option<engine::Rejected>>) {
        batch::after_commit(
            &self.runs.inner.agents,
            &self.runs.inner.meter,
            &self.run,
            decision,
        );
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
    async fn check_sessions(&mut self, offered: Vec<(AgentId, SessionId)>) -> Result<(), StoreError> {
        let mut moved = BTreeMap::new();
        for (agent, session) in offered {
            if let Some((current, held)) = self.runs.inner.agents.current(&agent)
                && current != session
            {
                moved.insert(agent, (current, held));
            }
        }
        for (agent, (session, held)) in moved {
            let ask = Ask::Inventory {
                agent,
                session,
                held,
                crashed: false,
            };
            Box::pin(self.process(vec![Mail { ask, reply: None }])).await?;
        }
        Ok(())
    }

    fn refuse(&self, mails: Vec<Mail>, error: &StoreError) {
        for mail in mails {
            // An agent's report that was not stored must come again: its session ends, and the next one says all anew.
            // Where it would fail for ever, the agent's other work must not suffer.
            if let Ask::Report { from, .. } = &mail.ask
                && matches!(error, StoreError::Unavailable(_) | StoreError::Conflict { .. })
            {
                self.runs.inner.agents.close(from, Close::Store);
            }
            answer(mail, Err(error.clone().into()));
        }
    }

    /// Goes back to what is stored, however long the store cannot say it; what is asked meanwhile is refused, for the
    /// state in memory may hold what never happened. False when the server stops first.
    async fn recover(&mut self) -> bool {
        loop {
            tokio::select! {
                () = tokio::time::sleep(STORE_PAUSE) => {}
                () = self.runs.inner.shutdown.cancelled() => return false,
            }
            match self.reload().await {
                Ok(()) => {
                    // What failed may be stored all the same, and nobody was told.
                    batch::arm(&self.runs.inner.agents, &self.run);
                    batch::say_again(&self.runs.inner.agents, &self.run);
                    self.seq.send_replace(self.run.seq);
                    match self.check_sessions(batch::out(&self.run).collect()).await {
                        Ok(()) => return true,
                        Err(error) => tracing::error!(run = %self.run.id, %error, "still not"),
                    }
                }
                Err(error) => {
                    tracing::error!(run = %self.run.id, %error, "cannot load this run");
                    let mut waiting = Vec::new();
                    while let Ok(mail) = self.rx.try_recv() {
                        waiting.push(mail);
                    }
                    self.refuse(waiting, &error);
                }
            }
        }
    }

    async fn reload(&mut self) -> Result<(), StoreError> {
        let id = self.run.id.clone();
        let loaded = self.runs.load(&id).await?;
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
    match ask {
        Ask::Report {
            at,
            token,
            from,
            body,
        } => Command::Report {
            at: at.clone(),
            token: token.clone(),
            from: from.clone(),
            body: body.clone(),
        },
        Ask::Inventory {
            agent,
            session,
            held,
            crashed,
        } => Command::Inventory {
            agent: agent.clone(),
            session: session.clone(),
            held: held.as_ref(),
            crashed: *crashed,
        },
        Ask::Expired { at, token } => Command::Expired {
            at: at.clone(),
            token: token.clone(),
        },
        Ask::Resolve {
            step,
            index,
            resolution,
            by,
        } => Command::Resolve {
            step: step.clone(),
            index: *index,
            resolution: *resolution,
            by: by.clone(),
        },
        Ask::Cancel { by, reason } => Command::Cancel {
            by: by.clone(),
            reason: reason.clone(),
        },
    }
}
