//! How the connections are set up.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// How long a statement waits for a lock of another process (a backup, a shell), and a reader for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

fn base(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(PATIENCE)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // The checkpointer does it beside the writer; on the writer it would cost two more flushes in a commit.
        .pragma("wal_autocheckpoint", "0")
        // The log is written again from its start after a checkpoint, which needs no new blocks; a log that grew
        // beyond this is cut back.
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

/// The one connection that writes.
pub(super) fn writer(path: &Path) -> SqliteConnectOptions {
    base(path).create_if_missing(true).pragma("cache_size", "-16384")
}

/// The one that moves pages from the log to the database.
pub(super) fn checkpointer(path: &Path) -> SqliteConnectOptions {
    base(path)
}

/// Connections that cannot write. They stay open, so the index of the log lives as long as the store.
pub(super) fn readers(path: &Path, count: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(count.max(1))
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(base(path).pragma("query_only", "ON"))
}
