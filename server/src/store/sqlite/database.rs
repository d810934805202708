//! One of the two databases, open.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    StoreError,
    checkpoint::{Checkpointer, Pressure},
    connect,
    error::store_error,
    flush::Flushes,
    lock::DirLock,
    options::{Database, SqliteOptions},
    schema,
    writer::{Plan, Writer, last_cursor},
};

/// Writer, readers and checkpointer of one database.
pub(super) struct Open {
    pub(super) writer: Writer,
    pub(super) readers: SqlitePool,
    /// Stops the checkpointer, also when the store is dropped without `close`.
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    checkpointer: Mutex<Option<JoinHandle<()>>>,
}

impl Open {
    pub(super) async fn open(
        database: Database,
        dir: &Path,
        options: &SqliteOptions,
        lock: Arc<DirLock>,
        flushes: &Flushes,
    ) -> Result<Self, StoreError> {
        let path = dir.join(database.as_str()).with_extension("db");
        let (conn, mark) =
            prepared(database, &path, options.check_up_to)
                .await
                .map_err(|error| match error {
                    StoreError::Corrupt(what) => StoreError::Corrupt(named(&path, &what)),
                    StoreError::Unavailable(what) => StoreError::Unavailable(named(&path, &what)),
                    other => other,
                })?;
        let pressure = Arc::new(Pressure::default());
        let checkpointer = Checkpointer::connect(&path, pressure.clone(), database, flushes.clone()).await?;
        let readers = connect::readers(&path, options.readers);
        // One of them is open from now on: while any is, the log's index is not made anew from the file.
        drop(readers.acquire().await.map_err(|error| store_error(&error))?);
        let writer = Writer::start(Plan {
            database,
            path,
            conn,
            mark,
            queue: options.queue,
            pressure,
            flushes: flushes.clone(),
            lock,
        });
        let stop = CancellationToken::new();
        let checkpointer = Mutex::new(Some(tokio::spawn(checkpointer.run(stop.clone()))));
        Ok(Self {
            writer,
            readers,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            checkpointer,
        })
    }

    /// Flushes what is queued, then closes everything.
    pub(super) async fn close(&self) {
        self.writer.close().await;
        self.stop.cancel();
        let checkpointer = self
            .checkpointer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = checkpointer
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "the checkpointer did not end well");
        }
        self.readers.close().await;
    }
}

async fn prepared(
    database: Database,
    path: &Path,
    check_up_to: u64,
) -> Result<(SqliteConnection, u64), StoreError> {
    let mut conn = connect::writer(path)
        .connect()
        .await
        .map_err(|error| store_error(&error))?;
    schema::prepare(&mut conn, database, path, check_up_to).await?;
    let mark = match database {
        Database::History => last_cursor(&mut conn)
            .await
            .map_err(|error| store_error(&error))?,
        Database::Logs => 0,
    };
    Ok((conn, mark))
}

/// The cause with the file it concerns, once.
fn named(path: &Path, what: &str) -> String {
    let path = path.display().to_string();
    if what.contains(&path) {
        what.to_owned()
    } else {
        format!("{path}: {what}")
    }
}
