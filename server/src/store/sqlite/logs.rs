//! Logs of attempts: pieces that cover their stream without undeclared gaps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use types::AttemptKey;

use super::{
    LogEnd, LogPiece, LogStream,
    job::{Effect, Stop, Tx, Write},
    log_piece::{Fit, Kept, end_mark, fit},
    read::bounded,
};

/// Pieces that one read looks at, at most.
const LOOK_AT: i64 = 1024;

/// Sizes of the pieces from the one on that covers an offset; of that one only what lies behind the offset.
pub(super) const SIZES: &str = "SELECT start, offset + length(data) - max(offset, ?2) FROM log_pieces
     WHERE log = ?1 AND start >= (SELECT max(start) FROM log_pieces WHERE log = ?1 AND start <= ?2)
     ORDER BY start LIMIT ?3";
pub(super) const PIECES: &str =
    "SELECT start, offset, data FROM log_pieces WHERE log = ? AND start BETWEEN ? AND ? ORDER BY start";

/// Pieces to write.
pub(super) struct WriteLogs(pub(super) Vec<LogPiece>);

/// A row of `logs`.
#[derive(Debug, Clone, Copy)]
struct Log {
    id: i64,
    held: u64,
    ended: LogEnd,
}

#[async_trait]
impl Write for WriteLogs {
    type Answer = Vec<u64>;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(Vec<u64>, Effect), Stop> {
        let conn = tx.conn().await?;
        let mut logs: BTreeMap<(&AttemptKey, LogStream), Log> = BTreeMap::new();
        let mut held = Vec::with_capacity(self.0.len());
        let mut effect = Effect::default();
        for piece in &self.0 {
            let key = (&piece.attempt, piece.stream);
            let mut log = match logs.get(&key) {
                Some(log) => *log,
                None => find_or_make(conn, piece).await?,
            };
            effect.add(write_piece(conn, &mut log, piece).await?);
            held.push(log.held);
            logs.insert(key, log);
        }
        Ok((held, effect))
    }
}

/// The row of a log that does not exist yet is made only with its first piece: until then its id is 0.
async fn find_or_make(conn: &mut SqliteConnection, piece: &LogPiece) -> Result<Log, sqlx::Error> {
    let row = sqlx::query("SELECT id, held, ended FROM logs WHERE attempt = ? AND stream = ?")
        .bind(piece.attempt.name())
        .bind(number(piece.stream))
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(log_of).transpose().map(|log| {
        log.unwrap_or(Log {
            id: 0,
            held: 0,
            ended: LogEnd::Open,
        })
    })
}

async fn write_piece(
    conn: &mut SqliteConnection,
    log: &mut Log,
    piece: &LogPiece,
) -> Result<Effect, sqlx::Error> {
    let (start, kept) = (log.held, fit(log.held, log.ended, piece));
    match kept {
        Fit::Refused | Fit::Held { news: None } => return Ok(Effect::default()),
        Fit::Held { news: Some(end) } => log.ended = end,
        Fit::Keep { held, .. } => (log.held, log.ended) = (held, piece.end),
    }
    put_log(conn, log, piece).await?;
    let Fit::Keep { skip, offset, .. } = kept else {
        return Ok(Effect::wrote(0));
    };
    let data = piece.data.get(skip..).unwrap_or_default();
    sqlx::query("INSERT INTO log_pieces (log, start, offset, data) VALUES (?, ?, ?, ?)")
        .bind(log.id)
        .bind(start.cast_signed())
        .bind(offset.cast_signed())
        .bind(data)
        .execute(conn)
        .await?;
    Ok(Effect::wrote(data.len()))
}

async fn put_log(conn: &mut SqliteConnection, log: &mut Log, piece: &LogPiece) -> Result<(), sqlx::Error> {
    if log.id == 0 {
        let done = sqlx::query("INSERT INTO logs (attempt, stream, held, ended) VALUES (?, ?, ?, ?)")
            .bind(piece.attempt.name())
            .bind(number(piece.stream))
            .bind(log.held.cast_signed())
            .bind(word(log.ended))
            .execute(conn)
            .await?;
        log.id = done.last_insert_rowid();
    } else {
        sqlx::query("UPDATE logs SET held = ?, ended = ? WHERE id = ?")
            .bind(log.held.cast_signed())
            .bind(word(log.ended))
            .bind(log.id)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// Reads in one snapshot, so that the end is never seen before what comes before it.
pub(super) async fn read(
    pool: &SqlitePool,
    attempt: &AttemptKey,
    stream: LogStream,
    from: u64,
    max_bytes: usize,
) -> Result<Vec<LogPiece>, sqlx::Error> {
    let mut snapshot = pool.begin().await?;
    let row = sqlx::query("SELECT id, held, ended FROM logs WHERE attempt = ? AND stream = ?")
        .bind(attempt.name())
        .bind(number(stream))
        .fetch_optional(&mut *snapshot)
        .await?;
    let Some(log) = row.as_ref().map(log_of).transpose()? else {
        return Ok(Vec::new());
    };
    if from >= log.held {
        return Ok(if log.ended.is_end() {
            vec![end_mark(attempt, stream, from, log.ended)]
        } else {
            Vec::new()
        });
    }
    let sizes: Vec<(i64, i64)> = sqlx::query_as(SIZES)
        .bind(log.id)
        .bind(bounded(from))
        .bind(LOOK_AT)
        .fetch_all(&mut *snapshot)
        .await?;
    let Some((first, last)) = within(&sizes, max_bytes) else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query(PIECES)
        .bind(log.id)
        .bind(first)
        .bind(last)
        .fetch_all(&mut *snapshot)
        .await?;
    let pieces = rows.iter().map(|row| {
        let kept = kept_of(row)?;
        let end = if kept.end() == log.held {
            log.ended
        } else {
            LogEnd::Open
        };
        Ok(kept.cut(attempt, stream, from, end))
    });
    pieces.collect()
}

/// Starts of the first and the last piece to read.
fn within(sizes: &[(i64, i64)], max_bytes: usize) -> Option<(i64, i64)> {
    let (first, _) = *sizes.first()?;
    let mut last = first;
    let mut bytes = 0;
    for (start, size) in sizes {
        if *start != first && bytes >= max_bytes {
            break;
        }
        last = *start;
        bytes = bytes.saturating_add(usize::try_from(*size).unwrap_or(usize::MAX));
    }
    Some((first, last))
}

const fn number(stream: LogStream) -> i64 {
    match stream {
        LogStream::Stdout => 1,
        LogStream::Stderr => 2,
        LogStream::ServiceOut(number) => 3 + 2 * number as i64,
        LogStream::ServiceErr(number) => 4 + 2 * number as i64,
    }
}

/// `ended` in the database: versions before this one know 0 and not 0.
const fn word(end: LogEnd) -> i64 {
    match end {
        LogEnd::Open => 0,
        LogEnd::Here => 1,
        LogEnd::Unknown => 2,
    }
}

fn log_of(row: &SqliteRow) -> Result<Log, sqlx::Error> {
    Ok(Log {
        id: row.try_get(0)?,
        held: row.try_get(1)?,
        ended: match row.try_get(2)? {
            0 => LogEnd::Open,
            2 => LogEnd::Unknown,
            _ => LogEnd::Here,
        },
    })
}

fn kept_of(row: &SqliteRow) -> Result<Kept, sqlx::Error> {
    Ok(Kept {
        start: row.try_get(0)?,
        offset: row.try_get(1)?,
        data: row.try_get(2)?,
    })
}
