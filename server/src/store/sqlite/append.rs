//! The one way events come in.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqliteConnection, sqlite::SqliteArguments};
use tokio::time::Instant;

use super::{
    Append, Claim, Evidence, Head, StoreError, StreamAppend, StreamId, check,
    heads::{PUT_INCIDENT, PUT_RUN, incident_args, run_args},
    job::{Effect, Stop, Tx, Write},
    read::{CLAIM, claim_of},
};

/// Expired claims that a write with claims removes on its way, at most; more than it adds, so that they shrink.
const PURGE: i64 = 16;
/// Events of one statement, at most: each number of them is a statement that the connection keeps prepared.
const TOGETHER: usize = 16;

#[async_trait]
impl Write for Append {
    type Answer = u64;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(u64, Effect), Stop> {
        check::append(self).map_err(Stop::Refused)?;
        for claim in &self.claims {
            check_claim(tx.conn().await?, claim).await?;
        }
        for part in &self.streams {
            check_seq(tx, part).await?;
        }
        let mut bytes = 0;
        for claim in &self.claims {
            put_claim(tx.conn().await?, claim).await?;
            bytes += claim.answer.len();
        }
        for evidence in &self.evidence {
            put_evidence(tx.conn().await?, evidence).await?;
            bytes += evidence.body.len();
        }
        let mut cursor = 0;
        for (n, part) in self.streams.iter().enumerate() {
            let is_last = n + 1 == self.streams.len();
            cursor = put_stream(tx, part, is_last).await?.unwrap_or(cursor);
            bytes += part.events.iter().map(|event| event.body.len()).sum::<usize>();
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

async fn check_seq(tx: &mut Tx<'_>, part: &StreamAppend) -> Result<(), Stop> {
    let stream = part.stream.as_str();
    let actual = match tx.seqs.of(stream) {
        Some(known) => known,
        None => {
            sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events WHERE stream = ?")
                .bind(stream)
                .fetch_one(tx.conn().await?)
                .await?
        }
    };
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

/// The head and the events, in as few steps as go: each is a way to the connection's thread and back. Answers the last cursor.
async fn put_stream(tx: &mut Tx<'_>, part: &StreamAppend, is_last: bool) -> Result<Option<u64>, Stop> {
    let mut seq = part.expected_seq;
    let mut cursor = None;
    let mut head = Some(head_of(part)?);
    let mut chunks = part.events.chunks(TOGETHER).peekable();
    while let Some(events) = chunks.next() {
        let (put_head, args) = head.take().unwrap_or_default();
        let mut sql = tx.begin_with().to_owned();
        sql.push_str(&put_head);
        sql.push_str("INSERT INTO events (stream, seq, at, kind, version, body) VALUES (?, ?, ?, ?, ?, ?)");
        sql.push_str(&", (?, ?, ?, ?, ?, ?)".repeat(events.len() - 1));
        if is_last && chunks.peek().is_none() {
            sql.push_str(tx.end_with());
        }
        let mut query = sqlx::query_with(AssertSqlSafe(sql), args);
        for event in events {
            seq += 1;
            query = query
                .bind(part.stream.as_str())
                .bind(seq.cast_signed())
                .bind(event.at.unix_ms())
                .bind(&event.kind)
                .bind(event.version)
                .bind(&event.body);
        }
        let done = query.execute(tx.conn().await?).await?;
        cursor = Some(done.last_insert_rowid().cast_unsigned());
    }
    tx.seqs.set(part.stream.as_str(), seq);
    tx.crowd.wrote(part.stream.as_str(), Instant::now());
    Ok(cursor)
}

/// A statement that puts it, with its end, and what it is given.
fn head_of(part: &StreamAppend) -> Result<(String, SqliteArguments), Stop> {
    Ok(match (&part.stream, &part.head) {
        (StreamId::Run(id), Head::Run(head)) => (PUT_RUN.to_owned(), run_args(id, head)?),
        (StreamId::Incident(id), Head::Incident(head)) => (PUT_INCIDENT.to_owned(), incident_args(id, head)?),
        (stream, _) => {
            return Err(Stop::Failed(sqlx::Error::Encode(
                format!("the head of {stream} is of another kind").into(),
            )));
        }
    })
}
