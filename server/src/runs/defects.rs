//! Runs that panic this server, when they are loaded or decided. A few tries, in case it was the moment; then the run is
//! given up: failed, with a reason, and left alone. Between two tries it rests, so that a moment has time to pass. Others go
//! on all the while.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engine::Run;
use futures::FutureExt;
use proto::v1;
use tokio::time::Instant;
use types::{AgentId, RunId, RunOutcome, Timestamp, limits};

use super::{Doing, Prepared, RunError, Runs, append_one, batch};
use crate::{
    agents::Close,
    api::convert,
    store::{self, Head, NewEvent, SharedStore, StoreError, StreamAppend, StreamId},
};

/// Events read at once, to count them.
const PAGE: u32 = 1_000;
/// How long a run is left alone after the first defect; twice as long after each further one.
const REST: Duration = Duration::from_secs(2);

/// What is known of them since this process began.
#[derive(Debug, Default)]
pub(super) struct Defects(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Those that did it.
    runs: HashMap<RunId, Tries>,
    /// Those whose end is stored.
    given_up: HashSet<RunId>,
}

#[derive(Debug)]
struct Tries {
    /// How often.
    count: u32,
    /// Until then it is left alone.
    rests_until: Instant,
    /// No task owns it, somebody is about to give it one, and nobody has given it up.
    unowned: bool,
    /// Who said something of it meanwhile that was not taken.
    unheard: BTreeSet<AgentId>,
}

impl Known {
    fn tries(&mut self, id: &RunId) -> &mut Tries {
        self.runs.entry(id.clone()).or_insert_with(|| Tries {
            count: 0,
            rests_until: Instant::now(),
            unowned: false,
            unheard: BTreeSet::new(),
        })
    }
}

impl Defects {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, id: &RunId) -> u32 {
        let mut known = self.known();
        let tries = known.tries(id);
        tries.rests_until = Instant::now() + REST * (1 << tries.count.min(limits::RUN_DEFECTS));
        tries.count = tries.count.saturating_add(1);
        tries.count
    }

    fn rests_until(&self, id: &RunId) -> Option<Instant> {
        let until = self.known().runs.get(id).map(|tries| tries.rests_until);
        until.filter(|until| *until > Instant::now())
    }

    /// It has no task; whoever says so gives it one, and ends this by [`Self::settled`].
    pub(super) fn unowned(&self, id: &RunId) {
        self.known().tries(id).unowned = true;
    }

    /// It has a task again, or nobody goes on trying: whoever was not heard meanwhile.
    pub(super) fn settled(&self, id: &RunId) -> BTreeSet<AgentId> {
        self.known().runs.get_mut(id).map_or_else(BTreeSet::new, |tries| {
            tries.unowned = false;
            std::mem::take(&mut tries.unheard)
        })
    }

    /// Waits until it may be tried again.
    pub(super) async fn rest(&self, id: &RunId) {
        if let Some(until) = self.rests_until(id) {
            tokio::time::sleep_until(until).await;
        }
    }

    fn is_given_up(&self, id: &RunId) -> bool {
        self.known().given_up.contains(id)
    }
}

impl Runs {
    /// Whether a run is between a defect and the next try: what is known of it is not all there is.
    pub(crate) fn is_unowned(&self, id: &RunId) -> bool {
        self.inner
            .defects
            .known()
            .runs
            .get(id)
            .is_some_and(|tries| tries.unowned)
    }

    /// Whether any run is.
    pub(crate) fn any_unowned(&self) -> bool {
        let known = self.inner.defects.known();
        known.runs.values().any(|tries| tries.unowned)
    }

    /// What an agent said of a run was not taken, for a defect: once the run has a task again, the agent is asked to say it
    /// again, by the end of its session.
    pub(crate) fn unheard(&self, id: &RunId, agent: &AgentId) {
        let mut known = self.inner.defects.known();
        let tries = known.runs.get_mut(id).filter(|tries| tries.unowned);
        if let Some(tries) = tries {
            tries.unheard.insert(agent.clone());
        } else {
            drop(known);
            self.inner.agents.close(agent, Close::Unheard);
        }
    }

    /// Loads a run; a panic is an error like others, and after one it is not tried again at once, whoever asks.
    pub(crate) async fn load_caught(&self, id: &RunId) -> Result<Option<Run>, RunError> {
        self.caught(id, self.load(id)).await
    }

    /// As [`Self::look`], with panics as in [`Self::load_caught`].
    pub(crate) async fn look_caught<T>(
        &self,
        id: &RunId,
        look: impl FnOnce(&Run) -> T,
    ) -> Result<Option<T>, RunError> {
        self.caught(id, self.look(id, look)).await
    }

    async fn caught<T>(
        &self,
        id: &RunId,
        reading: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, RunError> {
        let deadly = self.inner.black_box.deadly(&Doing::Load(id.clone()));
        if self.inner.defects.is_given_up(id) || deadly.is_some() {
            return Err(RunError::GivenUp(id.clone()));
        }
        if self.inner.defects.rests_until(id).is_some() {
            return Err(RunError::Defect(id.clone()));
        }
        match AssertUnwindSafe(reading).catch_unwind().await {
            Ok(read) => Ok(read?),
            Err(_) => Err(self.panicked(id, "its history cannot be loaded").await),
        }
    }

    /// Decides the start of a run. One that cannot be begun for a defect is one that failed; none where even that
    /// cannot be said.
    pub(crate) async fn prepare_caught(&self, first: engine::RunStarted) -> Option<Prepared> {
        let (id, name) = (first.run.clone(), first.plan.name.clone());
        let _turn = match self.turn_to_begin(&first.plan).await {
            Ok(turn) => turn,
            Err(deadly) => return self.stillborn_caught(first, &format!("{deadly}")),
        };
        let again = first.clone();
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(first))).or_else(|_| {
            tracing::error!(run = %id, workflow = name, "a run could not be begun, for a defect of this server: it is failed");
            self.stillborn_caught(again, "it could not be begun").ok_or(())
        });
        prepared.ok()
    }

    fn stillborn_caught(&self, first: engine::RunStarted, what: &str) -> Option<Prepared> {
        let (id, name) = (first.run.clone(), first.plan.name.clone());
        let (agents, clock) = (&self.inner.agents, self.inner.clock);
        let stillborn = catch_unwind(AssertUnwindSafe(|| {
            batch::stillborn(agents, clock, first, &internal(what))
        }));
        stillborn
            .inspect_err(|_| {
                tracing::error!(run = %id, workflow = name, "a run cannot be made, for a defect of this server");
            })
            .ok()
    }

    /// Ends a run over which too many processes died, before it has a task; false when there were not so many.
    pub(super) async fn end_deadly(&self, id: &RunId) -> Result<bool, StoreError> {
        let Some(deadly) = self.inner.black_box.deadly(&Doing::Decide(id.clone())) else {
            return Ok(false);
        };
        let what = deadly.to_string();
        if self.inner.black_box.deadly(&Doing::Load(id.clone())).is_some() {
            end_unread(&self.inner.store, id, &internal(&what), self.inner.clock.now()).await?;
        } else {
            self.give_up(id, &what).await?;
        }
        tracing::error!(run = %id, what, "given up: it is failed, and left alone from now on");
        self.inner.defects.known().given_up.insert(id.clone());
        Ok(true)
    }

    /// Notes a panic over a run; at the last try that it gets, gives it up.
    pub(super) async fn panicked(&self, id: &RunId, what: &str) -> RunError {
        let count = self.inner.defects.count(id);
        tracing::error!(run = %id, count, most = limits::RUN_DEFECTS, what, "a run ended its task by a panic");
        if count < limits::RUN_DEFECTS {
            return RunError::Defect(id.clone());
        }
        match self.give_up(id, what).await {
            Ok(()) => {
                tracing::error!(run = %id, what, "given up: it is failed, and left alone from now on");
                self.inner.defects.known().given_up.insert(id.clone());
                for agent in self.inner.defects.settled(id) {
                    self.inner.agents.close(&agent, Close::Unheard);
                }
                RunError::GivenUp(id.clone())
            }
            // Until its end is in the history, no report of it is acknowledged.
            Err(error) => {
                tracing::error!(run = %id, %error, "given up, but its end cannot be stored now: tried again");
                RunError::Defect(id.clone())
            }
        }
    }

    async fn give_up(&self, id: &RunId, what: &str) -> Result<(), StoreError> {
        let why = internal(what);
        self.forget(id);
        let whole = AssertUnwindSafe(self.end_whole(id, &why)).catch_unwind().await;
        match whole {
            Ok(ended) => ended?,
            Err(_) => end_unread(&self.inner.store, id, &why, self.inner.clock.now()).await?,
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
        let Some(mut run) = self.load(id).await? else {
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
}

/// Ends a run by its last event alone, in a history that nobody here can read.
pub(crate) async fn end_unread(
    store: &SharedStore,
    id: &RunId,
    why: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(mut head) = store.run(id).await? else {
        return Ok(());
    };
    if head.outcome.is_some() {
        return Ok(());
    }
    let stream = StreamId::Run(id.clone());
    let mut seq = 0;
    loop {
        let page = store.events(&stream, seq, PAGE).await?;
        seq = page.last().map_or(seq, |event| event.seq);
        if !store::is_cut(&page, PAGE) {
            break;
        }
    }
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
    append_one(store, append).await.map(drop)
}

fn internal(what: &str) -> String {
    format!(
        "internal: {what}: a defect of this server, whose log says more; the run was given up so that others go on"
    )
}
