//! A write that waits for its flush.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{StoreError, crowd::Crowd};

/// The transaction that writes share. It begins with the first statement and, where it is of one write, ends with the last: each
/// statement by itself is a way to the connection's thread and back.
pub(super) struct Tx<'a> {
    conn: &'a mut SqliteConnection,
    pub(super) seqs: &'a mut Seqs,
    pub(super) crowd: &'a mut Crowd,
    state: State,
    /// Of one write, with where a test lets the process die before it is committed.
    alone: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Due,
    Begun,
    Committed,
}

impl<'a> Tx<'a> {
    pub(super) const fn new(
        conn: &'a mut SqliteConnection,
        seqs: &'a mut Seqs,
        crowd: &'a mut Crowd,
        alone: Option<&'static str>,
    ) -> Self {
        Self {
            conn,
            seqs,
            crowd,
            state: State::Due,
            alone,
        }
    }

    /// The connection, in the transaction.
    pub(super) async fn conn(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.state == State::Due {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *self.conn).await?;
            self.state = State::Begun;
        }
        Ok(self.conn)
    }

    /// How the next statement begins.
    pub(super) fn begin_with(&mut self) -> &'static str {
        match self.state {
            State::Due => {
                self.state = State::Begun;
                "BEGIN IMMEDIATE; "
            }
            State::Begun | State::Committed => "",
        }
    }

    /// How the last statement of a write ends.
    pub(super) fn end_with(&mut self) -> &'static str {
        match self.alone {
            Some(before) => {
                failpoint::reach(before);
                self.state = State::Committed;
                "; COMMIT"
            }
            None => "",
        }
    }

    /// Ends it; without `keep`, or where nothing was written, as if it had not been.
    pub(super) async fn end(self, keep: bool, before: &'static str) -> Result<bool, sqlx::Error> {
        match self.state {
            State::Due => Ok(false),
            State::Committed => Ok(true),
            State::Begun => {
                if keep {
                    failpoint::reach(before);
                }
                let sql = if keep { "COMMIT" } else { "ROLLBACK" };
                sqlx::query(sql).execute(self.conn).await?;
                Ok(keep)
            }
        }
    }
}

/// The last seq of streams that were written to by this connection, the only one that writes: what it knows it need not read. To
/// be forgotten with a transaction that fails.
#[derive(Debug, Default)]
pub(super) struct Seqs(HashMap<String, u64>);

impl Seqs {
    /// Streams that are remembered, at most.
    const MOST: usize = 4096;

    pub(super) fn of(&self, stream: &str) -> Option<u64> {
        self.0.get(stream).copied()
    }

    pub(super) fn set(&mut self, stream: &str, seq: u64) {
        match self.0.get_mut(stream) {
            Some(held) => *held = seq,
            None => {
                if self.0.len() >= Self::MOST {
                    self.forget();
                }
                self.0.insert(stream.to_owned(), seq);
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// What one caller wants to write. `apply` runs inside a transaction that it shares with others, and may run again
/// after a rollback; it looks before it writes, so that a refusal leaves nothing behind.
#[async_trait]
pub(super) trait Write: Send + Sync + 'static {
    /// What the caller gets.
    type Answer: Send + 'static;
    /// Applies it.
    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(Self::Answer, Effect), Stop>;
}

/// What a write did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effect {
    /// Anything changed, so that a flush is due.
    pub(super) wrote: bool,
    /// The cursor of the last event, 0 without one.
    pub(super) cursor: u64,
    /// About how many pages of the database changed.
    pub(super) pages: u64,
}

impl Effect {
    /// Rows of so many bytes in all were written: their pages, and a few of tables and indexes above them.
    pub(super) fn wrote(bytes: usize) -> Self {
        Self {
            wrote: true,
            cursor: 0,
            pages: bytes as u64 / 4096 + 5,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.wrote |= other.wrote;
        self.cursor = self.cursor.max(other.cursor);
        self.pages += other.pages;
    }
}

/// Why a write was not applied.
pub(super) enum Stop {
    /// It does not hold; nothing was written, the transaction goes on.
    Refused(StoreError),
    /// The database failed; the transaction is lost.
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

/// A `Write` without its type.
#[async_trait]
pub(super) trait Job: Send {
    /// Applies it and keeps what is to be answered.
    async fn apply(&mut self, tx: &mut Tx<'_>) -> Result<Effect, sqlx::Error>;
    /// Answers what `apply` kept; called after the commit.
    fn answer(self: Box<Self>);
    /// Answers an error.
    fn fail(self: Box<Self>, error: StoreError);
}

/// A write and who waits for it.
pub(super) struct Waiting<W: Write> {
    work: W,
    outcome: Result<W::Answer, StoreError>,
    reply: oneshot::Sender<Result<W::Answer, StoreError>>,
}

impl<W: Write> Waiting<W> {
    pub(super) fn new(work: W, reply: oneshot::Sender<Result<W::Answer, StoreError>>) -> Self {
        Self {
            work,
            outcome: Err(StoreError::Unavailable("not applied yet".to_owned())),
            reply,
        }
    }
}

#[async_trait]
impl<W: Write> Job for Waiting<W> {
    async fn apply(&mut self, tx: &mut Tx<'_>) -> Result<Effect, sqlx::Error> {
        match self.work.apply(tx).await {
            Ok((answer, effect)) => {
                self.outcome = Ok(answer);
                Ok(effect)
            }
            Err(Stop::Refused(error)) => {
                self.outcome = Err(error);
                Ok(Effect::default())
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn answer(self: Box<Self>) {
        // A caller that stopped waiting does not want the answer.
        let _ = self.reply.send(self.outcome);
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}
