//! SQLite: two databases in one directory, so that a flood of logs never delays history. Each has one writer with group
//! commit (`writer`), readers that cannot write, and a checkpointer beside the writer.
//!
//! ```text
//! append ─▶ queue ─▶ writer ─▶ BEGIN IMMEDIATE · apply each · COMMIT (one flush) ─▶ publish ─▶ answer all
//!                      │ pages                                        readers ◀── history.db, logs.db
//!                      ▼
//!                 checkpointer: moves pages from the log to the database
//! ```

mod append;
mod artifacts;
pub mod backup;
mod checkpoint;
mod connect;
mod crowd;
mod database;
mod error;
mod flush;
mod heads;
mod job;
mod lock;
mod logs;
mod options;
mod read;
mod registry;
mod schema;
mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
mod writer;

use std::{fs, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

use super::{
    AgentRow, Append, ArtifactRow, Claim, Drained, Evidence, Head, IncidentFilter, IncidentHead, LogEnd,
    LogPiece, LogStream, READ_BYTES, RunFilter, RunHead, Store, StoreError, StoredEvent, StoredObject,
    StreamAppend, StreamId, WorkflowRow, check, log_piece,
};
pub use options::{Database, SqliteOptions};

use database::Open;
use flush::Flushes;
use lock::DirLock;

/// A store in a directory: `history.db`, `logs.db`, `lock`.
pub struct SqliteStore {
    history: Open,
    logs: Open,
    flushes: Flushes,
    directory: std::path::PathBuf,
}

impl SqliteStore {
    /// Opens the store of a directory and makes what is missing. Refuses at once when another server runs on it, and
    /// when the databases are damaged, of another program or of a newer version. Needs a tokio runtime that lives as
    /// long as the store.
    pub async fn open(dir: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let unavailable = |error| StoreError::Unavailable(format!("{}: {error}", dir.display()));
        // Alerts and logs may hold what not every user of the host should read.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(unavailable)?;
        let dir = dir.canonicalize().map_err(unavailable)?;
        let lock = Arc::new(DirLock::take(&dir)?);
        let flushes = Flushes::new();
        let (history, logs) = (Database::History, Database::Logs);
        Ok(Self {
            history: Open::open(history, &dir, &options, lock.clone(), &flushes).await?,
            logs: Open::open(logs, &dir, &options, lock, &flushes).await?,
            flushes,
            directory: dir,
        })
    }

    /// Commits (flushes) of a database since it was opened.
    #[must_use]
    pub fn commits(&self, database: Database) -> u64 {
        match database {
            Database::History => self.history.writer.commits(),
            Database::Logs => self.logs.writer.commits(),
        }
    }
}
