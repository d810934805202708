//! The one way events come in.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{
    Append, Claim, Evidence, Head, NewEvent, StoreError, StreamAppend, StreamId, check,
    heads::{put_incident, put_run},
    job::{Effect, Stop, Write},
    read::{CLAIM, claim_of},
};

/// Expired claims that a write with claims removes on its way, at most; more than it adds, so that they shrink.
const PURGE: i64 = 16;

#[async_trait]
impl Write for Append {
    type Answer = u64;

    async fn apply(&self, conn: &mut SqliteConnection) -> Result<(u64, Effect), Stop> {
        check::append(self).map_err(Stop::Refused)?;
        for claim in &self.claims {
            check_claim(conn, claim).await?;
        }
        for part in &self.streams {
            check_seq(conn, part).await?;
        }
        let mut bytes = 0;
        for claim in &self.claims {
            put_claim(conn, claim).await?;
            bytes += claim.answer.len();
        }
        for evidence in &self.evidence {
            put_evidence(conn, evidence).await?;
            bytes += evidence.body.len();
        }
        let mut cursor = 0;
        for part in &self.streams {
            for (seq, event) in (part.expected_seq + 1..).zip(&part.events) {
                cursor = put_event(conn, &part.stream, seq, event).await?;
                bytes += event.body.len();
            }
            put_head(conn, part).await?;
        }
        let wrote = !(self.claims.is_empty() && self.evidence.is_empty() && self.streams.is_empty());
        Ok((
            cursor,
            Effect {
                wrote,
                cursor,
                ..Effect::wrote(bytes)
            },
        ))
    }
}

async fn check_claim(conn: &mut SqliteConnection, claim: &Claim) -> Result<(), Stop> {
    let held = sqlx::query(CLAIM)
        .bind(&claim.scope)
        .bind(&claim.key)
        .bind(claim.at.unix_ms())
        .fetch_optional(conn)
        .await?;
    match held {
        Some(row) => Err(Stop::Refused(StoreError::Claimed(Box::new(claim_of(&row)?)))),
        None => Ok(()),
    }
}

async fn check_seq(conn: &mut SqliteConnection, part: &StreamAppend) -> Result<(), Stop> {
    let actual: u64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events WHERE stream = ?")
        .bind(part.stream.as_str())
        .fetch_one(conn)
        .await?;
    if actual == part.expected_seq {
        return Ok(());
    }
    let (stream, expected) = (part.stream.clone(), part.expected_seq);
    Err(Stop::Refused(StoreError::Conflict {
        stream,
        expected,
        actual,
    }))
}

/// Takes the place of an expired one.
async fn put_claim(conn: &mut SqliteConnection, claim: &Claim) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO claims (scope, key, request_hash, answer, at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&claim.scope)
    .bind(&claim.key)
    .bind(&claim.request_hash)
    .bind(&claim.answer)
    .bind(claim.at.unix_ms())
    .bind(claim.expires_at.unix_ms())
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "DELETE FROM claims WHERE rowid IN (SELECT rowid FROM claims WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
    )
    .bind(claim.at.unix_ms())
    .bind(PURGE)
    .execute(conn)
    .await?;
    Ok(())
}

async fn put_evidence(conn: &mut SqliteConnection, evidence: &Evidence) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO evidence (alert, source, received_at, content_type, body) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (alert) DO NOTHING",
    )
    .bind(evidence.alert.as_str())
    .bind(&evidence.source)
    .bind(evidence.received_at.unix_ms())
    .bind(&evidence.content_type)
    .bind(&evidence.body)
    .execute(conn)
    .await?;
    Ok(())
}

async fn put_event(
    conn: &mut SqliteConnection,
    stream: &StreamId,
    seq: u64,
    event: &NewEvent,
) -> Result<u64, sqlx::Error> {
    let done =
        sqlx::query("INSERT INTO events (stream, seq, at, kind, version, body) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(stream.as_str())
            .bind(seq.cast_signed())
            .bind(event.at.unix_ms())
            .bind(&event.kind)
            .bind(event.version)
            .bind(&event.body)
            .execute(conn)
            .await?;
    Ok(done.last_insert_rowid().cast_unsigned())
}

async fn put_head(conn: &mut SqliteConnection, part: &StreamAppend) -> Result<(), Stop> {
    match (&part.stream, &part.head) {
        (StreamId::Run(id), Head::Run(head)) => put_run(conn, id, head).await?,
        (StreamId::Incident(id), Head::Incident(head)) => put_incident(conn, id, head).await?,
        (stream, _) => {
            return Err(Stop::Failed(sqlx::Error::Encode(
                format!("the head of {stream} is of another kind").into(),
            )));
        }
    }
    Ok(())
}
