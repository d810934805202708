//! The schema and its migrations, forward only. `user_version` counts the steps that a file has seen.

use std::path::Path;

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{StoreError, error::store_error, options::Database};

const HISTORY: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_history.sql"),
    include_str!("../../../migrations/sqlite/0002_drained.sql"),
    include_str!("../../../migrations/sqlite/0003_artifacts.sql"),
    include_str!("../../../migrations/sqlite/0004_artifacts_removed.sql"),
];
const LOGS: &[&str] = &[include_str!("../../../migrations/sqlite/0001_logs.sql")];

impl Database {
    /// The steps, oldest first. A released step is never changed: `tests/fixtures/sqlite` holds what it made.
    const fn steps(self) -> &'static [&'static str] {
        match self {
            Self::History => HISTORY,
            Self::Logs => LOGS,
        }
    }

    /// The mark in the file's header: "FHhi", "FHlo".
    const fn application_id(self) -> i64 {
        match self {
            Self::History => 0x4648_6869,
            Self::Logs => 0x4648_6c6f,
        }
    }
}

/// Brings a database to this version's schema. Refuses one of a newer version, a foreign one and a damaged one.
pub(super) async fn prepare(
    conn: &mut SqliteConnection,
    database: Database,
    path: &Path,
    check_up_to: u64,
) -> Result<(), StoreError> {
    let steps = database.steps();
    let found = version(conn, database, path).await?;
    if found > steps.len() {
        return Err(newer(database, path, found));
    }
    if found > 0 {
        quick_check(conn, path, check_up_to).await?;
    }
    for (index, step) in steps.iter().enumerate().skip(found) {
        migrate(conn, step, index + 1, database.application_id())
            .await
            .map_err(|error| {
                StoreError::Unavailable(format!("{}: migration {}: {error}", path.display(), index + 1))
            })?;
        tracing::info!(
            database = database.as_str(),
            version = index + 1,
            "schema migrated"
        );
    }
    Ok(())
}

/// Refuses a database of a newer version, a foreign one and one without a schema.
pub(super) async fn known(
    conn: &mut SqliteConnection,
    database: Database,
    path: &Path,
) -> Result<(), StoreError> {
    match version(conn, database, path).await? {
        0 => Err(StoreError::Corrupt(format!(
            "{}: an empty database",
            path.display()
        ))),
        found if found > database.steps().len() => Err(newer(database, path, found)),
        _ => Ok(()),
    }
}

fn newer(database: Database, path: &Path, found: usize) -> StoreError {
    StoreError::Corrupt(format!(
        "{} has schema version {found}, and this version of Firehall knows {}: start the newer version again",
        path.display(),
        database.steps().len()
    ))
}

async fn version(conn: &mut SqliteConnection, database: Database, path: &Path) -> Result<usize, StoreError> {
    let ask = "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_user_version, pragma_application_id";
    let (version, mark, tables): (i64, i64, i64) = sqlx::query_as(ask)
        .fetch_one(conn)
        .await
        .map_err(|error| store_error(&error))?;
    let is_new = version == 0 && mark == 0 && tables == 0;
    match usize::try_from(version) {
        Ok(version) if is_new || (mark == database.application_id() && version > 0) => Ok(version),
        _ => Err(StoreError::Corrupt(format!(
            "{} is not a {} database of Firehall",
            path.display(),
            database.as_str()
        ))),
    }
}

async fn quick_check(conn: &mut SqliteConnection, path: &Path, check_up_to: u64) -> Result<(), StoreError> {
    let size = fs_err::metadata(path)
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
        .len();
    if size > check_up_to {
        return Ok(());
    }
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(conn)
        .await
        .map_err(|error| StoreError::Corrupt(format!("{}: {error}", path.display())))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "{} is damaged ({found}): restore a backup",
        path.display()
    )))
}

async fn migrate(
    conn: &mut SqliteConnection,
    step: &'static str,
    version: usize,
    mark: i64,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    sqlx::raw_sql(step).execute(&mut *conn).await?;
    // Pragmas take no parameters; these are two integers of ours.
    let marks = format!("PRAGMA user_version = {version}; PRAGMA application_id = {mark}");
    sqlx::raw_sql(AssertSqlSafe(marks)).execute(&mut *conn).await?;
    sqlx::raw_sql("COMMIT").execute(conn).await?;
    Ok(())
}
