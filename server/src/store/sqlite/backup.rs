//! A copy of a store, also while its server runs; and a store made of a copy.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::{StoreError, error::store_error, options::Database, schema};

const DATABASES: [Database; 2] = [Database::History, Database::Logs];

/// A database in a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Copies the databases of the store in `dir` into `to`, which is made and must not hold any yet. The server may run and
/// write meanwhile: each copy is of one moment, that of the history before that of the logs. On disk when it returns.
///
/// # Errors
/// `Unavailable` when files cannot be read or written, `Corrupt` when it is no store of this version.
pub async fn copy(dir: &Path, to: &Path) -> Result<Vec<Copied>, StoreError> {
    for database in DATABASES {
        absent(&file(to, database))?;
        let from = file(dir, database);
        if !from.is_file() {
            return Err(StoreError::Unavailable(format!(
                "{}: no such database",
                from.display()
            )));
        }
    }
    private(to)?;
    let mut copied = Vec::new();
    for database in DATABASES {
        copied.push(vacuum(&file(dir, database), &file(to, database), database).await?);
    }
    sync(to)?;
    Ok(copied)
}

/// Where a store is made of a copy before it is one: no server starts there.
fn half_made(dir: &Path) -> PathBuf {
    dir.join("restoring")
}

/// Puts the databases of a copy beside where they will be in `dir`, which must not hold any yet; answers where. Events get
/// numbers from now on that no follower of the older server can have seen. What an earlier try left is made anew.
///
/// # Errors
/// As for [`copy`].
pub async fn stage(from: &Path, dir: &Path) -> Result<PathBuf, StoreError> {
    let half = half_made(dir);
    absent(&file(dir, Database::History))?;
    if half.exists() {
        fs::remove_dir_all(&half).map_err(|error| unavailable(&half, &error))?;
    } else {
        absent(&file(dir, Database::Logs))?;
    }
    for database in DATABASES {
        checked(&file(from, database), database).await?;
    }
    private(&half)?;
    for database in DATABASES {
        let (from, to) = (file(from, database), file(&half, database));
        let copied = fs::copy(&from, &to).and_then(|_| owned(&to));
        copied.map_err(|error| unavailable(&to, &error))?;
    }
    sync(&half)?;
    skip_cursors(&file(&half, Database::History)).await?;
    Ok(half)
}

/// Puts what was staged in its place, the history last: before that there is no store in `dir`.
///
/// # Errors
/// `Unavailable` when files cannot be moved, or a database is still open.
pub fn publish(half: &Path, dir: &Path) -> Result<(), StoreError> {
    for database in [Database::Logs, Database::History] {
        let (from, to) = (file(half, database), file(dir, database));
        let wal = from.with_extension("db-wal");
        if wal.metadata().is_ok_and(|meta| meta.len() > 0) {
            let why = format!("{}: its write-ahead log was not taken in", wal.display());
            return Err(StoreError::Unavailable(why));
        }
        owned(&from)
            .and_then(|()| fs::rename(&from, &to))
            .map_err(|error| unavailable(&to, &error))?;
    }
    fs::remove_dir_all(half).map_err(|error| unavailable(half, &error))?;
    sync(dir)
}

fn file(dir: &Path, database: Database) -> PathBuf {
    dir.join(database.as_str()).with_extension("db")
}

fn absent(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        let why = format!(
            "{} is there already: choose a directory without one",
            path.display()
        );
        return Err(StoreError::Unavailable(why));
    }
    Ok(())
}

fn private(dir: &Path) -> Result<(), StoreError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| unavailable(dir, &error))
}

/// One statement reads one moment and writes a database without gaps; readers and the writer go on.
async fn vacuum(from: &Path, to: &Path, database: Database) -> Result<Copied, StoreError> {
    let new = to.with_extension("new");
    let mut conn = checked(from, database).await?;
    let into = new.display().to_string();
    let done = sqlx::query("VACUUM INTO ?").bind(into).execute(&mut conn).await;
    done.map_err(|error| StoreError::Unavailable(format!("{}: {error}", new.display())))?;
    conn.close().await.map_err(|error| store_error(&error))?;
    let kept = owned(&new)
        .and_then(|()| fs::rename(&new, to))
        .and_then(|()| fs::metadata(to));
    let bytes = kept.map_err(|error| unavailable(to, &error))?.len();
    Ok(Copied {
        path: to.to_owned(),
        bytes,
    })
}

/// A connection to a database of this program's that is whole.
async fn checked(path: &Path, database: Database) -> Result<sqlx::SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false);
    let named = |error: sqlx::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let mut conn = options
        .disable_statement_logging()
        .connect()
        .await
        .map_err(named)?;
    schema::known(&mut conn, database, path).await?;
    Ok(conn)
}

/// Only its owner may read it, and it is on disk.
fn owned(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    File::open(path)?.sync_all()
}

fn sync(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| unavailable(dir, &error))
}

/// Far beyond what the server whose copy this is may have told meanwhile: a follower that comes back with a cursor of
/// then misses nothing, and sees no other event under a number that it knows.
const SKIPPED: i64 = 1 << 40;

async fn skip_cursors(history: &Path) -> Result<(), StoreError> {
    let mut conn = checked(history, Database::History).await?;
    let skip = "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'events'";
    let skipped = sqlx::query(skip).bind(SKIPPED).execute(&mut conn).await;
    let skipped = skipped.map_err(|error| store_error(&error))?;
    if skipped.rows_affected() == 0 {
        // Nothing was ever written there.
        let begin = "INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)";
        let begun = sqlx::query(begin).bind(SKIPPED).execute(&mut conn).await;
        begun.map_err(|error| store_error(&error))?;
    }
    conn.close().await.map_err(|error| store_error(&error))
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
