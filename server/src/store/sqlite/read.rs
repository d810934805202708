//! Events, claims and evidence as they are read.

use futures::TryStreamExt;
use sqlx::{
    Row, SqlitePool,
    query::Query,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};
use types::{AlertId, Timestamp};

use super::{
    Claim, Evidence, READ_BYTES, StoredEvent, StreamId,
    error::corrupt,
    heads::{id, time},
};

pub(super) const EVENTS: &str = "SELECT cursor, stream, seq, at, kind, version, body FROM events
     WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?";
pub(super) const EVENTS_AFTER: &str = "SELECT cursor, stream, seq, at, kind, version, body FROM events
     WHERE cursor > ? ORDER BY cursor LIMIT ?";
pub(super) const CLAIM: &str = "SELECT scope, key, request_hash, answer, at, expires_at FROM claims
     WHERE scope = ? AND key = ? AND expires_at > ?";

pub(super) async fn events(
    pool: &SqlitePool,
    stream: &StreamId,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let query = sqlx::query(EVENTS)
        .bind(stream.as_str())
        .bind(bounded(after_seq))
        .bind(limit);
    bounded_read(pool, query).await
}

pub(super) async fn events_after(
    pool: &SqlitePool,
    cursor: u64,
    limit: u32,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let query = sqlx::query(EVENTS_AFTER).bind(bounded(cursor)).bind(limit);
    bounded_read(pool, query).await
}

/// Rows until their bodies are enough.
async fn bounded_read(
    pool: &SqlitePool,
    query: Query<'_, Sqlite, SqliteArguments>,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let mut rows = query.fetch(pool);
    let mut events = Vec::new();
    let mut bytes = 0;
    while bytes < READ_BYTES
        && let Some(row) = rows.try_next().await?
    {
        let event = event_of(&row)?;
        bytes += event.body.len();
        events.push(event);
    }
    Ok(events)
}

pub(super) async fn claim(
    pool: &SqlitePool,
    scope: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<Claim>, sqlx::Error> {
    let query = sqlx::query(CLAIM).bind(scope).bind(key).bind(now.unix_ms());
    query
        .fetch_optional(pool)
        .await?
        .as_ref()
        .map(claim_of)
        .transpose()
}

pub(super) async fn evidence(pool: &SqlitePool, alert: &AlertId) -> Result<Option<Evidence>, sqlx::Error> {
    let row =
        sqlx::query("SELECT alert, source, received_at, content_type, body FROM evidence WHERE alert = ?")
            .bind(alert.as_str())
            .fetch_optional(pool)
            .await?;
    row.as_ref().map(evidence_of).transpose()
}

/// No stored number is beyond it.
pub(super) fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn event_of(row: &SqliteRow) -> Result<StoredEvent, sqlx::Error> {
    Ok(StoredEvent {
        cursor: row.try_get(0)?,
        stream: stream_of(row.try_get(1)?)?,
        seq: row.try_get(2)?,
        at: time(row.try_get(3)?),
        kind: row.try_get(4)?,
        version: row.try_get(5)?,
        body: row.try_get(6)?,
    })
}

fn stream_of(text: &str) -> Result<StreamId, sqlx::Error> {
    let run = text.parse().map(StreamId::Run).ok();
    run.or_else(|| text.parse().map(StreamId::Incident).ok())
        .ok_or_else(|| corrupt("stream", text))
}

pub(super) fn claim_of(row: &SqliteRow) -> Result<Claim, sqlx::Error> {
    Ok(Claim {
        scope: row.try_get(0)?,
        key: row.try_get(1)?,
        request_hash: row.try_get(2)?,
        answer: row.try_get(3)?,
        at: time(row.try_get(4)?),
        expires_at: time(row.try_get(5)?),
    })
}

fn evidence_of(row: &SqliteRow) -> Result<Evidence, sqlx::Error> {
    Ok(Evidence {
        alert: id(row.try_get(0)?)?,
        source: row.try_get(1)?,
        received_at: time(row.try_get(2)?),
        content_type: row.try_get(3)?,
        body: row.try_get(4)?,
    })
}
