//! Moves pages from the write-ahead log into the database beside the writer, so that no commit pays for it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    StoreError, connect,
    error::store_error,
    flush::{Flushes, Guarded},
    options::Database,
};

/// Pages written to the log (4 KiB each, as the writer guesses) from which on it is worth moving them: 4 MiB, SQLite's
/// own default. The true number stands in the `-shm` file, but closing that file would drop this process's locks on it.
const WORTH: u64 = 1000;
/// Pages in the log at which the writer waits for readers and starts it anew: 64 MiB.
const FULL: u32 = 16_384;
/// Pages in the log at which the writer does so without being asked: 96 MiB. The checkpointer finds out only when it has
/// moved what there was, and on a slow disk a flood of writes outruns it.
const BRIM: u64 = 24_576;

/// Between the writer and the checkpointer.
#[derive(Default)]
pub(super) struct Pressure {
    /// Written since the checkpointer last looked.
    pages: AtomicU64,
    /// In the log when it last looked.
    log: AtomicU64,
    worth: Notify,
    full: AtomicBool,
}

impl Pressure {
    /// The log has grown by about so many pages.
    pub(super) fn committed(&self, pages: u64) {
        if self.pages.fetch_add(pages, Ordering::Relaxed) + pages >= WORTH {
            self.worth.notify_one();
        }
    }

    /// What was written counts as in the log until the log itself is asked.
    fn look(&self) {
        let written = self.pages.swap(0, Ordering::Relaxed);
        self.log.fetch_add(written, Ordering::Relaxed);
    }

    /// On the writer, between two transactions: when writes never paused long enough for the log to be used from its
    /// start again, makes that happen.
    pub(super) async fn relieve(&self, conn: &mut SqliteConnection, database: Database, flushes: &Flushes) {
        let brim = self.log.load(Ordering::Relaxed) + self.pages.load(Ordering::Relaxed) >= BRIM;
        if !self.full.swap(false, Ordering::Relaxed) && !brim {
            return;
        }
        let restarted = checkpoint(conn, "PRAGMA wal_checkpoint(RESTART)").await;
        // Counted anew also when a reader held the log: the writer waits for it once in so many pages, not at each commit.
        self.pages.store(0, Ordering::Relaxed);
        self.log.store(0, Ordering::Relaxed);
        match restarted {
            Ok(moved) => tracing::info!(
                frames = moved.frames,
                busy = moved.busy,
                "write-ahead log restarted"
            ),
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be restarted");
                flushes.look(database, &error);
            }
        }
    }
}

/// The task beside a writer.
pub(super) struct Checkpointer {
    conn: Guarded,
    pressure: Arc<Pressure>,
    database: Database,
    flushes: Flushes,
    /// Pages in the log when the writer was last asked to start it anew.
    asked: u32,
}

impl Checkpointer {
    pub(super) async fn connect(
        path: &Path,
        pressure: Arc<Pressure>,
        database: Database,
        flushes: Flushes,
    ) -> Result<Self, StoreError> {
        let conn = connect::checkpointer(path)
            .connect()
            .await
            .map_err(|error| store_error(&error))?;
        Ok(Self {
            conn: Guarded::new(conn, flushes.clone()),
            pressure,
            database,
            flushes,
            asked: 0,
        })
    }

    /// Works until it is stopped. A failure is told, and tried again when the log has grown further.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let pressure = self.pressure.clone();
        while stop
            .run_until_cancelled(pressure.worth.notified())
            .await
            .is_some()
        {
            self.relieve().await;
        }
        if let Err(error) = self.conn.close().await {
            tracing::warn!(%error, "a connection did not close");
        }
    }

    async fn relieve(&mut self) {
        if self.flushes.check().is_err() {
            return;
        }
        self.pressure.look();
        let moved = match self.conn.get() {
            Ok(conn) => checkpoint(conn, "PRAGMA wal_checkpoint(PASSIVE)").await,
            Err(closed) => Err(closed),
        };
        match moved {
            Ok(moved) => {
                self.pressure
                    .log
                    .store(u64::from(moved.frames), Ordering::Relaxed);
                // The log was started anew since the writer was asked.
                self.asked = if moved.frames < self.asked { 0 } else { self.asked };
                if moved.frames - self.asked >= FULL {
                    self.asked = moved.frames;
                    self.pressure.full.store(true, Ordering::Relaxed);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "pages of the write-ahead log could not be moved");
                self.flushes.look(self.database, &error);
            }
        }
    }
}

struct Moved {
    busy: bool,
    frames: u32,
}

async fn checkpoint(conn: &mut SqliteConnection, pragma: &'static str) -> Result<Moved, sqlx::Error> {
    let (busy, frames, _): (i64, i64, i64) = sqlx::query_as(pragma).fetch_one(conn).await?;
    Ok(Moved {
        busy: busy != 0,
        frames: u32::try_from(frames).unwrap_or(0),
    })
}
