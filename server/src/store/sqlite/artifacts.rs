//! What the artifact store holds of attempts.

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use types::{Artifact, RunId, Timestamp};

use super::{
    ArtifactRow,
    job::{Effect, Stop, Write},
};

pub(super) const OF_RUN: &str = "SELECT token, name, bytes, sha256, media_type, stored_at FROM artifacts
     WHERE run = ? ORDER BY token, name";

/// Keeps that an artifact is stored.
pub(super) struct KeepArtifact(pub(super) ArtifactRow);

#[async_trait]
impl Write for KeepArtifact {
    type Answer = ();

    async fn apply(&self, conn: &mut SqliteConnection) -> Result<((), Effect), Stop> {
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
        .execute(conn)
        .await?;
        Ok(((), Effect::wrote(1)))
    }
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
