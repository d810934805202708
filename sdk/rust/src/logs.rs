//! A step's bytes, over interruptions.

use std::time::{Duration, Instant};

use types::AttemptKey;

use crate::{Client, Error, LogsOf};

/// How long a server may be away while its logs are followed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Some bytes of one stream of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Whose; absent when the server did not say.
    pub attempt: Option<AttemptKey>,
    /// Bytes that were lost right before these.
    pub lost: u64,
    /// The bytes, unchanged.
    pub data: Vec<u8>,
}

/// Reads until the stream ends. When one attempt is followed, a server that goes away is called again from the last
/// byte; otherwise the first interruption is the end.
pub(crate) async fn read<E: From<Error>>(
    client: &Client,
    of: &LogsOf,
    mut each: impl FnMut(LogPiece) -> Result<(), E>,
) -> Result<(), E> {
    let mut of = of.clone();
    let mut offset = 0;
    let mut away: Option<Instant> = None;
    loop {
        let error = match client.log_stream(&of, offset).await {
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(piece)) => {
                        away = None;
                        offset = piece.offset + u64::try_from(piece.data.len()).unwrap_or(0);
                        let attempt = piece.attempt.map(key).transpose()?;
                        each(LogPiece {
                            attempt,
                            lost: piece.lost,
                            data: piece.data,
                        })?;
                    }
                    Ok(None) => return Ok(()),
                    Err(status) => break client.refused(&status),
                }
            },
            Err(error) => error,
        };
        // Over several steps or items an offset has no one meaning: they cannot be resumed.
        let resumable = of.follow && !of.step.is_empty() && of.attempt > 0;
        let since = *away.get_or_insert_with(Instant::now);
        if !(resumable && error.is_unreachable() && since.elapsed() < PATIENCE) {
            return Err(error.into());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn key(of: proto::v1::AttemptRef) -> Result<AttemptKey, Error> {
    let run = of
        .run_id
        .parse()
        .map_err(|error| Error::Answer(format!("a log piece: {error}")))?;
    Ok(AttemptKey {
        run,
        step: of.step,
        index: of.index,
        attempt: of.attempt,
    })
}
