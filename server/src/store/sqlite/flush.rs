//! A flush that failed. What was to be written may or may not be on the disk, and the kernel tells it only once: a later
//! flush succeeds although the bytes are gone (<https://wiki.postgresql.org/wiki/Fsync_Errors>). So nothing is flushed
//! again: the store takes no more writes, and the server ends.

use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::watch;

use super::{StoreError, options::Database};

// https://www.sqlite.org/rescode.html
const SQLITE_IOERR_FSYNC: i32 = 1034;
const SQLITE_IOERR_DIR_FSYNC: i32 = 1290;

/// Why nothing may be flushed any more, once it is so. Shared by all that flush.
#[derive(Debug, Clone)]
pub(super) struct Flushes(Arc<watch::Sender<Option<String>>>);

impl Flushes {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Looks at an error; one of a flush is the end.
    pub(super) fn look(&self, database: Database, error: &sqlx::Error) {
        let code = error.as_database_error().and_then(|error| error.code());
        let code = code.and_then(|code| code.parse().ok());
        if matches!(code, Some(SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC)) {
            let why = format!(
                "{}.db could not be flushed to the disk ({error}): what was written last may be lost, and a second try would \
                 only hide that. Nothing was acknowledged that is not on the disk. Look at the disk (`dmesg`), then start \
                 the server again",
                database.as_str()
            );
            tracing::error!(why, "a flush failed: the server ends");
            self.0.send_if_modified(|held| {
                let first = held.is_none();
                held.get_or_insert(why);
                first
            });
        }
    }

    /// Refused once a flush failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &*self.0.borrow() {
            None => Ok(()),
            Some(why) => Err(StoreError::Unavailable(why.clone())),
        }
    }

    /// Waits for the end.
    pub(super) async fn failed(&self) -> String {
        let mut why = self.0.subscribe();
        // The sender is held here: there is no error.
        let why = why
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|why| why.clone());
        why.unwrap_or_default()
    }
}

/// A connection that may flush. After a flush that failed it is never closed, whatever drops it: the last connection of a
/// database moves the log into it on closing, and flushes both. While this one stays open no other is the last.
pub(super) struct Guarded {
    conn: Option<SqliteConnection>,
    flushes: Flushes,
}

impl Guarded {
    pub(super) const fn new(conn: SqliteConnection, flushes: Flushes) -> Self {
        Self {
            conn: Some(conn),
            flushes,
        }
    }

    /// # Errors
    /// It was closed.
    pub(super) fn get(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.conn.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// # Errors
    /// What the database says.
    pub(super) async fn close(mut self) -> Result<(), sqlx::Error> {
        match self.conn.take_if(|_| self.flushes.check().is_ok()) {
            Some(conn) => conn.close().await,
            None => Ok(()),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take_if(|_| self.flushes.check().is_err()) {
            // The process ends soon, and with it what the kernel keeps of this.
            Box::leak(Box::new(conn));
        }
    }
}
