//! What the artifact store holds of attempts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};
use types::{Artifact, RunId, Timestamp};

use super::{
    ArtifactRow, StoredObject,
    job::{Effect, Stop, Tx, Write},
};

pub(super) const OF_RUN: &str = "SELECT token, name, bytes, sha256, media_type, stored_at FROM artifacts
     WHERE run = ? ORDER BY token, name";

/// Keeps that an artifact is stored.
pub(super) struct KeepArtifact(pub(super) ArtifactRow);

#[async_trait]
impl Write for KeepArtifact {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<((), Effect), Stop> {
        let conn = tx.conn().await?;
        let ArtifactRow {
            run,
            token,
            artifact,
            at,
        } = &self.0;
        sqlx::query(
            "INSERT OR REPLACE INTO artifacts (token, name, run, bytes, sha256, media_type, stored_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(token.as_str())
        .bind(&artifact.name)
        .bind(run.as_str())
        .bind(artifact.bytes.cast_signed())
        .bind(&artifact.sha256)
        .bind(&artifact.media_type)
        .bind(at.unix_ms())
        .execute(&mut *conn)
        .await?;
        sqlx::query("DELETE FROM artifacts_removed WHERE sha256 = ?")
            .bind(&artifact.sha256)
            .execute(conn)
            .await?;
        Ok(((), Effect::wrote(1)))
    }
}

/// Keeps that the bytes of a sum were removed.
pub(super) struct ObjectRemoved(pub(super) String, pub(super) Timestamp);

#[async_trait]
impl Write for ObjectRemoved {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<((), Effect), Stop> {
        let conn = tx.conn().await?;
        sqlx::query("INSERT OR REPLACE INTO artifacts_removed (sha256, removed_at) VALUES (?, ?)")
            .bind(&self.0)
            .bind(self.1.unix_ms())
            .execute(conn)
            .await?;
        Ok(((), Effect::wrote(1)))
    }
}

/// What is held, the longest stored first. Reads all sums: it is asked each ten minutes, once for
/// each page of a pass.
const OBJECTS: &str = "SELECT max(stored_at) AS at, sha256, max(bytes) FROM artifacts AS a
     WHERE NOT EXISTS (SELECT 1 FROM artifacts_removed AS r WHERE r.sha256 = a.sha256)
     GROUP BY sha256 HAVING (at, sha256) > (?, ?) ORDER BY at, sha256 LIMIT ?";
const OBJECT_BYTES: &str =
    "SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM artifacts AS a
     WHERE NOT EXISTS (SELECT 1 FROM artifacts_removed AS r WHERE r.sha256 = a.sha256) GROUP BY sha256)";
const REMOVED: &str = "SELECT sha256, removed_at FROM artifacts_removed
     WHERE sha256 IN (SELECT value FROM json_each(?))";

pub(super) async fn objects(
    pool: &SqlitePool,
    after: Option<&StoredObject>,
    limit: u32,
) -> Result<Vec<StoredObject>, sqlx::Error> {
    let (at, sha256) = after.map_or((i64::MIN, ""), |after| {
        (after.at.unix_ms(), after.sha256.as_str())
    });
    let rows = sqlx::query(OBJECTS)
        .bind(at)
        .bind(sha256)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    let read = |row: &SqliteRow| {
        let bytes: i64 = row.try_get(2)?;
        Ok(StoredObject {
            at: Timestamp::from_unix_ms(row.try_get(0)?),
            sha256: row.try_get(1)?,
            bytes: bytes.cast_unsigned(),
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn object_bytes(pool: &SqlitePool) -> Result<u64, sqlx::Error> {
    let bytes: i64 = sqlx::query_scalar(OBJECT_BYTES).fetch_one(pool).await?;
    Ok(bytes.cast_unsigned())
}

pub(super) async fn removed(
    pool: &SqlitePool,
    sums: &[String],
) -> Result<BTreeMap<String, Timestamp>, sqlx::Error> {
    let sums = serde_json::to_string(sums).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let rows = sqlx::query(REMOVED).bind(sums).fetch_all(pool).await?;
    let read = |row: &SqliteRow| Ok((row.try_get(0)?, Timestamp::from_unix_ms(row.try_get(1)?)));
    rows.iter().map(read).collect()
}

pub(super) async fn of_run(pool: &SqlitePool, run: &RunId) -> Result<Vec<ArtifactRow>, sqlx::Error> {
    let rows = sqlx::query(OF_RUN).bind(run.as_str()).fetch_all(pool).await?;
    let read = |row: &SqliteRow| {
        let token: String = row.try_get(0)?;
        let bytes: i64 = row.try_get(2)?;
        Ok(ArtifactRow {
            run: run.clone(),
            token: token
                .parse()
                .map_err(|error: types::IdError| sqlx::Error::Decode(error.into()))?,
            artifact: Artifact {
                name: row.try_get(1)?,
                bytes: bytes.cast_unsigned(),
                sha256: row.try_get(3)?,
                media_type: row.try_get(4)?,
            },
            at: Timestamp::from_unix_ms(row.try_get(5)?),
        })
    };
    rows.iter().map(read).collect()
}
