//! One connection writes, owned by one task: it takes all writes that wait, applies each that holds, flushes once and
//! then answers them all (group commit).

use std::{
    mem,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{ConnectOptions, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    StoreError,
    checkpoint::Pressure,
    connect,
    crowd::{Crowd, LINGER},
    error::{is_of_one_write, store_error},
    flush::{Flushes, Guarded},
    job::{Effect, Job, Seqs, Tx, Waiting, Write},
    lock::DirLock,
    options::Database,
};

/// Writes that share a flush at most: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// The handle of a writer.
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    closing: CancellationToken,
    done: watch::Receiver<bool>,
    published: watch::Receiver<u64>,
    commits: Arc<AtomicU64>,
}

/// What a writer works with.
pub(super) struct Plan {
    pub(super) database: Database,
    pub(super) path: PathBuf,
    pub(super) conn: SqliteConnection,
    /// What `published` begins with.
    pub(super) mark: u64,
    pub(super) queue: usize,
    pub(super) pressure: Arc<Pressure>,
    pub(super) flushes: Flushes,
    pub(super) lock: Arc<DirLock>,
}

impl Writer {
    pub(super) fn start(plan: Plan) -> Self {
        let (jobs, waiting) = mpsc::channel(plan.queue.max(1));
        let (publish, published) = watch::channel(plan.mark);
        let (finish, done) = watch::channel(false);
        let commits = Arc::new(AtomicU64::new(0));
        let closing = CancellationToken::new();
        let task = Task {
            database: plan.database,
            path: plan.path,
            conn: Some(Guarded::new(plan.conn, plan.flushes.clone())),
            seqs: Seqs::default(),
            crowd: Crowd::default(),
            commits: commits.clone(),
            publish,
            pressure: plan.pressure,
            flushes: plan.flushes,
            _lock: plan.lock,
        };
        tokio::spawn(task.run(waiting, closing.clone(), finish));
        Self {
            jobs,
            closing,
            done,
            published,
            commits,
        }
    }

    /// Waits until the write is flushed, or refused. The write happens even when the caller stops waiting.
    pub(super) async fn write<W: Write>(&self, work: W) -> Result<W::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Waiting::new(work, reply));
        if self.jobs.send(job).await.is_err() {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let gone = |_| StoreError::Unavailable("the writer stopped before it answered".to_owned());
        answer.await.map_err(gone)?
    }

    pub(super) fn published(&self) -> watch::Receiver<u64> {
        let mut published = self.published.clone();
        // What is there now is no change.
        published.mark_unchanged();
        published
    }

    /// Flushes since the start.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Refuses further writes and waits until those that were queued are answered and the connection is closed.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        // An error means that the task is gone, which is what is waited for.
        let _ = self.done.clone().wait_for(|done| *done).await;
    }
}

struct Task {
    database: Database,
    path: PathBuf,
    /// None after a failure: the next batch opens a new one.
    conn: Option<Guarded>,
    seqs: Seqs,
    crowd: Crowd,
    commits: Arc<AtomicU64>,
    publish: watch::Sender<u64>,
    pressure: Arc<Pressure>,
    flushes: Flushes,
    _lock: Arc<DirLock>,
}

/// Why a batch was not committed.
struct Broken {
    error: StoreError,
    /// It may be the fault of one write among several.
    of_one: bool,
}

impl From<sqlx::Error> for Broken {
    fn from(error: sqlx::Error) -> Self {
        Self {
            error: store_error(&error),
            of_one: is_of_one_write(&error),
        }
    }
}

impl Task {
    async fn run(
        mut self,
        mut waiting: mpsc::Receiver<Box<dyn Job>>,
        closing: CancellationToken,
        finish: watch::Sender<bool>,
    ) {
        let mut batch = Vec::with_capacity(GROUP);
        loop {
            tokio::select! {
                biased;
                taken = waiting.recv_many(&mut batch, GROUP) => if taken == 0 { break },
                () = closing.cancelled(), if !waiting.is_closed() => waiting.close(),
            }
            if !batch.is_empty() {
                self.more(&mut batch, &mut waiting).await;
                self.settle(mem::take(&mut batch)).await;
                if self.flushes.check().is_ok()
                    && let Some(Ok(conn)) = self.conn.as_mut().map(Guarded::get)
                {
                    self.pressure.relieve(conn, self.database, &self.flushes).await;
                }
            }
        }
        self.hang_up().await;
        drop(self);
        finish.send_replace(true);
    }

    /// What comes while a flush waits for it.
    async fn more(&mut self, batch: &mut Vec<Box<dyn Job>>, waiting: &mut mpsc::Receiver<Box<dyn Job>>) {
        if self.crowd.is_there(Instant::now()) {
            tokio::time::sleep(LINGER).await;
            while batch.len() < GROUP
                && let Ok(job) = waiting.try_recv()
            {
                batch.push(job);
            }
        }
    }

    async fn settle(&mut self, mut batch: Vec<Box<dyn Job>>) {
        match self.transact(&mut batch).await {
            Ok(()) => batch.into_iter().for_each(|job| job.answer()),
            Err(broken) if broken.of_one && batch.len() > 1 => {
                for job in batch {
                    self.settle_alone(job).await;
                }
            }
            Err(broken) => batch.into_iter().for_each(|job| job.fail(broken.error.clone())),
        }
    }

    async fn settle_alone(&mut self, job: Box<dyn Job>) {
        let mut batch = vec![job];
        let outcome = self.transact(&mut batch).await;
        for job in batch {
            match &outcome {
                Ok(()) => job.answer(),
                Err(broken) => job.fail(broken.error.clone()),
            }
        }
    }

    /// One transaction. After a failure no connection is left that could carry its remains into the next; whether a
    /// failed COMMIT took hold is unknown, so nothing is answered from what the transaction saw.
    async fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Broken> {
        let outcome = self.try_transact(batch).await;
        if let Err(broken) = &outcome {
            tracing::warn!(database = self.database.as_str(), error = %broken.error, "a commit failed");
            self.hang_up().await;
        }
        outcome
    }

    async fn try_transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Broken> {
        self.flushes
            .check()
            .map_err(|error| Broken { error, of_one: false })?;
        let committed = self.commit(batch).await;
        // Not only COMMIT flushes: so does whatever writes the first page of a log that is begun anew.
        committed.inspect_err(|error| self.flushes.look(self.database, error))?;
        Ok(())
    }

    async fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
        self.connect().await?;
        let conn = self.conn.as_mut().ok_or(sqlx::Error::WorkerCrashed)?.get()?;
        let (before, after) = self.database.failpoints();
        let mut all = Effect::default();
        let alone = (batch.len() == 1).then_some(before);
        let mut tx = Tx::new(conn, &mut self.seqs, &mut self.crowd, alone);
        for job in batch {
            all.add(job.apply(&mut tx).await?);
        }
        if !tx.end(all.wrote, before).await? {
            return Ok(());
        }
        failpoint::reach(after);
        self.commits.fetch_add(1, Ordering::Relaxed);
        match self.database {
            Database::History => self.publish(all.cursor),
            Database::Logs => self.publish.send_modify(|commits| *commits += 1),
        }
        self.pressure.committed(all.pages);
        Ok(())
    }

    /// Never goes back.
    fn publish(&self, cursor: u64) {
        self.publish
            .send_if_modified(|last| mem::replace(last, cursor.max(*last)) < cursor);
    }

    async fn connect(&mut self) -> Result<(), sqlx::Error> {
        if self.conn.is_none() {
            let mut conn = connect::writer(&self.path).connect().await?;
            if self.database == Database::History {
                // A commit of unknown outcome may have taken hold.
                let cursor = last_cursor(&mut conn).await?;
                self.publish(cursor);
            }
            self.conn = Some(Guarded::new(conn, self.flushes.clone()));
        }
        Ok(())
    }

    async fn hang_up(&mut self) {
        self.seqs.forget();
        if let Some(conn) = self.conn.take()
            && let Err(error) = conn.close().await
        {
            tracing::warn!(database = self.database.as_str(), %error, "a connection did not close");
        }
    }
}

/// The highest cursor that was ever used.
pub(super) async fn last_cursor(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let cursor: Option<u64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        .fetch_optional(conn)
        .await?;
    Ok(cursor.unwrap_or(0))
}
