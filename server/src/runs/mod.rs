//! Runs: load, decide, append. The only writer of run histories. Each live run has one task that owns its state; what
//! waits for it is decided together and appended in one transaction.

mod actor;
pub(crate) mod batch;
mod black_box;
mod defects;
mod first;
mod folded;
mod load;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use engine::{At, ReportBody, RunStarted};
use protocol::Resolution;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{AgentId, LeaseToken, RunId, SessionId};

use crate::{
    agents::{Agents, Close, Inventory},
    clock::Clock,
    meter::Meter,
    store::{Append, RunFilter, SharedStore, StoreError, StreamAppend},
};

use batch::Appended;
pub(crate) use batch::Prepared;
pub(crate) use black_box::BlackBox;
pub(crate) use black_box::Deadly;
use black_box::{Doing, Turn};
pub(crate) use defects::end_unread;
pub(crate) use first::{FIRST_BYTES, too_large};
pub(crate) use load::load;

/// What is asked of a run.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// An agent reports.
    Report {
        at: At,
        token: LeaseToken,
        from: AgentId,
        body: ReportBody,
    },
    /// An agent said Hello.
    Inventory {
        agent: AgentId,
        session: SessionId,
        held: Inventory,
        /// The process of its last session ended without being told to.
        crashed: bool,
    },
    /// A lease is over.
    Expired { at: At, token: LeaseToken },
    /// A person's verdict.
    Resolve {
        step: String,
        index: Option<u32>,
        resolution: Resolution,
        by: String,
    },
    /// A person's cancel.
    Cancel { by: String, reason: String },
}

/// Why a run does not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RunError {
    /// No such run.
    #[error("there is no run {0}")]
    NotFound(RunId),
    /// The engine refuses.
    #[error(transparent)]
    Rejected(#[from] engine::Rejected),
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It panicked, and is tried again.
    #[error("run {0} cannot be worked on now, for a defect of this server; its log says more")]
    Defect(RunId),
    /// It panicked too often.
    #[error("run {0} was given up, for a defect of this server; its log says more")]
    GivenUp(RunId),
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

struct Mail {
    ask: Ask,
    reply: Option<oneshot::Sender<Result<(), RunError>>>,
}

#[derive(Clone)]
struct Handle {
    tx: mpsc::Sender<Mail>,
    seq: watch::Receiver<u64>,
}

/// Between looks at a store that cannot answer.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// Asks that wait for one run; beyond them its callers wait.
const MAILBOX: usize = 256;

/// The runs of this server.
#[derive(Clone)]
pub(crate) struct Runs {
    inner: Arc<Inner>,
}

struct Inner {
    store: SharedStore,
    agents: Arc<Agents>,
    meter: Arc<Meter>,
    clock: Clock,
    live: Mutex<HashMap<RunId, Handle>>,
    defects: defects::Defects,
    folded: folded::Folded,
    black_box: BlackBox,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Runs {
    pub(crate) fn new(
        store: SharedStore,
        agents: Arc<Agents>,
        meter: Arc<Meter>,
        clock: Clock,
        black_box: BlackBox,
        shutdown: CancellationToken,
    ) -> Self {
        let inner = Inner {
            store,
            agents,
            meter,
            clock,
            live: Mutex::default(),
            defects: defects::Defects::default(),
            folded: folded::Folded::default(),
            black_box,
            tasks: TaskTracker::new(),
            shutdown,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Takes up every live run of the store and arms every lease in full. Before the server listens. Those over which
    /// processes died come last.
    pub(crate) async fn resume(&self) -> Result<usize, StoreError> {
        let mut before = None;
        let mut count = 0;
        let mut suspects = Vec::new();
        loop {
            let filter = RunFilter {
                limit: 500,
                before: before.clone(),
                live: true,
                ..RunFilter::default()
            };
            let page = self.inner.store.runs(&filter).await?;
            let Some((last, _)) = page.last() else { break };
            before = Some(last.clone());
            for (id, _) in page {
                if self.inner.black_box.deaths(&Doing::Load(id.clone())).is_some() {
                    suspects.push(id);
                } else {
                    count += usize::from(self.resume_one(id).await?);
                }
            }
        }
        for id in suspects {
            if !self.end_deadly(&id).await? {
                count += usize::from(self.resume_one(id).await?);
            }
        }
        Ok(count)
    }

    /// Whether the run has its task now.
    async fn resume_one(&self, id: RunId) -> Result<bool, StoreError> {
        // A run that this version cannot read is left as it is and said; it must not keep the others down.
        match self.handle(&id).await {
            Ok(_) => return Ok(true),
            // It is there and would be left without an owner: better not to start at all.
            Err(RunError::Store(error @ StoreError::Unavailable(_))) => return Err(error),
            Err(RunError::Defect(id)) => self.look_again(vec![id], true),
            Err(error) => tracing::error!(run = %id, %error, "cannot take up this run"),
        }
        Ok(false)
    }

    /// Reads a run's history.
    ///
    /// # Errors
    /// `Corrupt` for a history that this version cannot read, or over which processes died.
    pub(crate) async fn load(&self, id: &RunId) -> Result<Option<engine::Run>, StoreError> {
        let mut run = None;
        self.advance(id, &mut run, &mut 0).await?;
        Ok(run)
    }

    /// Folds what happened since a run was loaded, or all of it; the bytes of those events are counted.
    ///
    /// # Errors
    /// As [`Self::load`]; the run holds what was folded before.
    pub(crate) async fn advance(
        &self,
        id: &RunId,
        run: &mut Option<engine::Run>,
        bytes: &mut usize,
    ) -> Result<(), StoreError> {
        if let Some(deadly) = self.inner.black_box.deadly(&Doing::Load(id.clone())) {
            return Err(StoreError::Corrupt(format!(
                "{id}: {deadly}; it is not read any more"
            )));
        }
        load::advance(&self.inner.store, id, run, bytes, &self.inner.black_box).await
    }

    /// A turn to begin a run of a definition.
    ///
    /// # Errors
    /// Processes died over it.
    pub(crate) async fn turn_to_begin(&self, plan: &workflow::Plan) -> Result<Turn<'_>, Deadly> {
        let doing = Doing::Begin(plan.source_digest.clone());
        match self.inner.black_box.deadly(&doing) {
            Some(deadly) => Err(deadly),
            None => Ok(self.inner.black_box.turn(&doing).await),
        }
    }

    /// Decides the start of a run, its first offers included. Nothing is stored yet.
    pub(crate) fn prepare(&self, first: RunStarted) -> Prepared {
        batch::prepare(&self.inner.agents, self.inner.clock, first)
    }

    /// Decides the repetition of a run that has ended, its first offers included. Nothing is stored yet.
    ///
    /// # Errors
    /// See [`engine::NoRerun`].
    pub(crate) fn prepare_rerun(
        &self,
        earlier: &engine::Run,
        id: RunId,
        by: String,
        from: &[String],
    ) -> Result<Prepared, engine::NoRerun> {
        batch::prepare_rerun(&self.inner.agents, self.inner.clock, earlier, id, by, from)
    }

    /// Stores prepared runs together with what else belongs into the transaction, then lets them go.
    pub(crate) async fn commit(&self, prepared: Vec<Prepared>, mut append: Append) -> Result<(), StoreError> {
        let (streams, appended): (Vec<_>, Vec<_>) = prepared.into_iter().map(Prepared::split).unzip();
        append.streams.extend(streams);
        match self.inner.store.append(append).await {
            Ok(_) => {
                for appended in appended {
                    self.adopt(appended);
                }
                Ok(())
            }
            Err(error) => {
                if matches!(error, StoreError::Unavailable(_)) {
                    let ids = appended.into_iter().map(|appended| appended.run.id);
                    self.look_again(ids.collect(), false);
                }
                Err(error)
            }
        }
    }

    /// Runs that may be stored and that nobody owns: a flush that failed may have been written all the same. With
    /// `unheard`, agents may have said what was not taken.
    fn look_again(&self, ids: Vec<RunId>, unheard: bool) {
        let runs = self.clone();
        if unheard {
            ids.iter().for_each(|id| self.inner.defects.unowned(id));
        }
        self.inner.tasks.spawn(async move {
            for id in ids {
                runs.take_up(&id, unheard).await;
            }
        });
    }

    /// Loads a run and gives it its task, however long the store cannot answer. After a panic, what agents said of it
    /// meanwhile was not taken: in a new session they say it again.
    async fn take_up(&self, id: &RunId, panicked: bool) {
        let (taken, panicked) = self.try_to_take_up(id, panicked).await;
        let mut agents = self.inner.defects.settled(id);
        if taken && panicked {
            let leases = self.inner.agents.leases_of(id);
            agents.extend(leases.into_iter().map(|(_, leased)| leased.agent.clone()));
        }
        for agent in agents {
            self.inner.agents.close(&agent, Close::Unheard);
        }
    }

    /// Whether it has its task, and whether there was a panic over it.
    async fn try_to_take_up(&self, id: &RunId, mut panicked: bool) -> (bool, bool) {
        loop {
            match self.handle(id).await {
                Ok(_) => return (true, panicked),
                Err(
                    RunError::NotFound(_) | RunError::Stopping | RunError::Rejected(_) | RunError::GivenUp(_),
                ) => return (false, panicked),
                Err(RunError::Defect(_)) => {
                    panicked = true;
                    self.inner.defects.unowned(id);
                    tokio::select! {
                        () = self.inner.defects.rest(id) => {}
                        () = self.inner.shutdown.cancelled() => return (false, panicked),
                    }
                }
                Err(RunError::Store(StoreError::Unavailable(_))) => {
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_AGAIN) => {}
                        () = self.inner.shutdown.cancelled() => return (false, panicked),
                    }
                }
                Err(RunError::Store(error)) => {
                    tracing::error!(run = %id, %error, "cannot take up this run");
                    return (false, panicked);
                }
            }
        }
    }

    /// Gives a stored run its task. It is there whatever happens here: after a defect it is taken up from its history.
    fn adopt(&self, appended: Appended) {
        let id = appended.run.id.clone();
        let adopted = catch_unwind(AssertUnwindSafe(|| {
            let run = appended.deliver(&self.inner.agents, &self.inner.meter);
            if run.ended.is_none() {
                drop(self.spawn(id.clone(), run, false));
            }
        }));
        if adopted.is_err() {
            tracing::error!(run = %id, "a run that is stored could not be told of, for a defect: it is taken up again");
            self.look_again(vec![id], true);
        }
    }

    /// Asks and waits for the answer, which comes after the commit.
    pub(crate) async fn ask(&self, id: &RunId, ask: Ask) -> Result<(), RunError> {
        loop {
            let (tx, rx) = oneshot::channel();
            let handle = self.handle(id).await?;
            if handle
                .tx
                .send(Mail {
                    ask: ask.clone(),
                    reply: Some(tx),
                })
                .await
                .is_ok()
            {
                // Without an answer its task ended by a defect, and the ask may come again.
                return rx.await.unwrap_or(Err(RunError::Stopping));
            }
            // The task ended just now: the run is loaded again, or the server stops.
            if self.inner.shutdown.is_cancelled() {
                return Err(RunError::Stopping);
            }
        }
    }

    /// Asks without waiting for the answer; in order for one caller.
    pub(crate) async fn tell(&self, id: &RunId, ask: Ask) -> Result<(), RunError> {
        loop {
            let handle = self.handle(id).await?;
            if handle
                .tx
                .send(Mail {
                    ask: ask.clone(),
                    reply: None,
                })
                .await
                .is_ok()
            {
                return Ok(());
            }
            if self.inner.shutdown.is_cancelled() {
                return Err(RunError::Stopping);
            }
        }
    }

    /// The seq of a live run's last stored event; none when it is not live.
    pub(crate) fn progress(&self, id: &RunId) -> Option<watch::Receiver<u64>> {
        self.live().get(id).map(|handle| handle.seq.clone())
    }

    /// Waits until every task has put its work away; false when they took longer than `at_most`.
    pub(crate) async fn stopped(&self, at_most: std::time::Duration) -> bool {
        self.inner.tasks.close();
        tokio::time::timeout(at_most, self.inner.tasks.wait())
            .await
            .is_ok()
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Handle>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn handle(&self, id: &RunId) -> Result<Handle, RunError> {
        if self.inner.shutdown.is_cancelled() {
            return Err(RunError::Stopping);
        }
        if let Some(handle) = open(&self.live(), id) {
            return Ok(handle);
        }
        let run = self
            .load_caught(id)
            .await?
            .ok_or_else(|| RunError::NotFound(id.clone()))?;
        Ok(self.spawn(id.clone(), run, true))
    }

    /// Gives a run its task, unless it has one. With `arm` its leases are noted: what is loaded may be out of date by
    /// now, and then it must not bring back leases that are over.
    fn spawn(&self, id: RunId, run: engine::Run, arm: bool) -> Handle {
        let mut live = self.live();
        if let Some(handle) = open(&live, &id) {
            return handle;
        }
        if arm {
            batch::arm(&self.inner.agents, &run);
        }
        let (tx, rx) = mpsc::channel(MAILBOX);
        let (seq_tx, seq) = watch::channel(run.seq);
        let handle = Handle { tx, seq };
        live.insert(id.clone(), handle.clone());
        let actor = actor::Actor::new(self.clone(), run, rx, seq_tx);
        self.inner.tasks.spawn(self.clone().owned(id, actor));
        handle
    }

    /// A run's task. A defect that ends it is said, and the run is taken up again from its history.
    async fn owned(self, id: RunId, actor: actor::Actor) {
        if tokio::spawn(actor.run()).await.is_ok() {
            return;
        }
        self.inner.defects.unowned(&id);
        if let RunError::GivenUp(_) = self.panicked(&id, "its task panicked").await {
            return;
        }
        // What agents reported meanwhile went with the task: once it is there again they say it again.
        self.take_up(&id, true).await;
    }

    /// No task owns it any more.
    fn forget(&self, id: &RunId) {
        self.live().remove(id);
    }
}

/// The way to a run's task, while there is one.
fn open(live: &HashMap<RunId, Handle>, id: &RunId) -> Option<Handle> {
    live.get(id).filter(|handle| !handle.tx.is_closed()).cloned()
}

/// Stores one append for one stream.
async fn append_one(store: &SharedStore, stream: StreamAppend) -> Result<u64, StoreError> {
    store
        .append(Append {
            streams: vec![stream],
            ..Append::default()
        })
        .await
}
