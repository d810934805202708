//! Runs that panic this server, when they are loaded or decided. A few tries, in case it was the moment; then the run is
//! given up: failed, with a reason, and left alone. Others go on all the while.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
};

use engine::Run;
use futures::FutureExt;
use proto::v1;
use types::{RunId, RunOutcome, limits};

use super::{Prepared, RunError, Runs, append_one, batch, load};
use crate::{
    api::convert,
    store::{self, Head, NewEvent, StoreError, StreamAppend, StreamId},
};

/// Events read at once, to count them.
const PAGE: u32 = 1_000;

/// How often each run did it, since this process began.
#[derive(Debug, Default)]
pub(super) struct Defects(Mutex<HashMap<RunId, u32>>);

impl Defects {
    fn counts(&self) -> MutexGuard<'_, HashMap<RunId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, id: &RunId) -> u32 {
        let mut counts = self.counts();
        let count = counts.entry(id.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn is_given_up(&self, id: &RunId) -> bool {
        self.counts()
            .get(id)
            .is_some_and(|count| *count >= limits::RUN_DEFECTS)
    }
}

impl Runs {
    /// Loads a run; a panic is an error like others.
    pub(crate) async fn load_caught(&self, id: &RunId) -> Result<Option<Run>, RunError> {
        if self.inner.defects.is_given_up(id) {
            return Err(RunError::GivenUp(id.clone()));
        }
        match AssertUnwindSafe(load(&self.inner.store, id)).catch_unwind().await {
            Ok(loaded) => Ok(loaded?),
            Err(_) => Err(self.panicked(id, "its history cannot be loaded").await),
        }
    }

    /// Decides the start of a run. One that cannot be begun for a defect is one that failed; none where even that
    /// cannot be said.
    pub(crate) fn prepare_caught(&self, first: engine::RunStarted) -> Option<Prepared> {
        let (id, name) = (first.run.clone(), first.plan.name.clone());
        let again = first.clone();
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(first))).or_else(|_| {
            let why = internal("it could not be begun");
            tracing::error!(run = %id, workflow = name, "a run could not be begun, for a defect of this server: it is failed");
            catch_unwind(AssertUnwindSafe(|| batch::stillborn(self.inner.clock, again, &why)))
        });
        prepared
            .inspect_err(|_| {
                tracing::error!(run = %id, workflow = name, "a run cannot be made, for a defect of this server");
            })
            .ok()
    }

    /// Notes a panic over a run; at the last try that it gets, gives it up.
    pub(super) async fn panicked(&self, id: &RunId, what: &str) -> RunError {
        let count = self.inner.defects.count(id);
        tracing::error!(run = %id, count, most = limits::RUN_DEFECTS, what, "a run ended its task by a panic");
        if count < limits::RUN_DEFECTS {
            return RunError::Defect(id.clone());
        }
        if count == limits::RUN_DEFECTS {
            match self.give_up(id, what).await {
                Ok(()) => {
                    tracing::error!(run = %id, what, "given up: it is failed, and left alone from now on")
                }
                Err(error) => {
                    tracing::error!(run = %id, %error, "given up, but its end cannot be stored: it is tried again at the next start");
                }
            }
        }
        RunError::GivenUp(id.clone())
    }

    async fn give_up(&self, id: &RunId, what: &str) -> Result<(), StoreError> {
        let why = internal(what);
        self.forget(id);
        let whole = AssertUnwindSafe(self.end_whole(id, &why)).catch_unwind().await;
        match whole {
            Ok(ended) => ended?,
            Err(_) => self.end_unread(id, &why).await?,
        }
        for (token, leased) in self.inner.agents.leases_of(id) {
            let stop = v1::Stop {
                attempt: Some(convert::attempt_ref(id, &leased.at)),
                token: token.to_string(),
                reason: why.clone(),
            };
            let message = Some(v1::session_down::Message::Stop(stop));
            self.inner
                .agents
                .send(&leased.agent, None, v1::SessionDown { message });
            self.inner.agents.unlease(&token);
        }
        Ok(())
    }

    /// With the end of each step, where the history can be folded.
    async fn end_whole(&self, id: &RunId, why: &str) -> Result<(), StoreError> {
        let Some(mut run) = load(&self.inner.store, id).await? else {
            return Ok(());
        };
        let (before, context) = (run.seq, self.inner.clock.context());
        let decision = engine::give_up(&mut run, why, context);
        if decision.events.is_empty() {
            return Ok(());
        }
        let stream = batch::stream(&run, before, &decision.events, context.now);
        append_one(&self.inner.store, stream).await?;
        batch::after_commit(&self.inner.agents, &self.inner.meter, &run, &decision);
        Ok(())
    }

    /// By its last event alone, in a history that nobody here can read.
    async fn end_unread(&self, id: &RunId, why: &str) -> Result<(), StoreError> {
        let Some(mut head) = self.inner.store.run(id).await? else {
            return Ok(());
        };
        if head.outcome.is_some() {
            return Ok(());
        }
        let stream = StreamId::Run(id.clone());
        let mut seq = 0;
        loop {
            let page = self.inner.store.events(&stream, seq, PAGE).await?;
            seq = page.last().map_or(seq, |event| event.seq);
            if !store::is_cut(&page, PAGE) {
                break;
            }
        }
        let at = self.inner.clock.now();
        let stored = engine::history::write(&engine::given_up(why));
        (head.outcome, head.finished_at) = (Some(RunOutcome::Failed), Some(at));
        head.reasons = vec![why.to_owned()];
        let append = StreamAppend {
            stream,
            expected_seq: seq,
            events: vec![NewEvent {
                at,
                kind: stored.kind,
                version: stored.version,
                body: stored.body,
            }],
            head: Head::Run(head),
        };
        append_one(&self.inner.store, append).await.map(drop)
    }
}

fn internal(what: &str) -> String {
    format!(
        "internal: {what}: a defect of this server, whose log says more; the run was given up so that others go on"
    )
}
