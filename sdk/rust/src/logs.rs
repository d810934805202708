//! A step's bytes, over interruptions.

use std::time::{Duration, Instant};

use types::AttemptKey;

use crate::{Client, Error, LogsOf};

/// Some bytes of one stream of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Whose; absent when the server did not say.
    pub attempt: Option<AttemptKey>,
    /// Bytes that were lost right before these.
    pub lost: u64,
    /// The bytes, unchanged.
    pub data: Vec<u8>,
    /// The stream ends after these, but what wrote it was killed: bytes may be missing there, and nobody counted them.
    pub end_unknown: bool,
}

/// Where a reader is.
struct Place {
    of: LogsOf,
    offset: u64,
    /// Tries up to this one were read whole, before an interruption made us name them.
    whole: u32,
    /// Whether the newest try was asked for, and by now one is named in its place.
    named: bool,
}

/// Reads until the stream ends. When one step is followed, a server that goes away is called again from the last
/// byte; otherwise the first interruption is the end.
pub(crate) async fn read<E: From<Error>>(
    client: &Client,
    of: &LogsOf,
    mut each: impl FnMut(LogPiece) -> Result<(), E>,
) -> Result<(), E> {
    let mut place = Place {
        of: of.clone(),
        offset: 0,
        whole: 0,
        named: false,
    };
    let mut last: Option<AttemptKey> = None;
    let mut away: Option<Instant> = None;
    loop {
        let error = match client.log_stream(&place.of, place.offset).await {
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(piece)) => {
                        away = None;
                        let attempt = piece.attempt.map(key).transpose()?;
                        if attempt.as_ref().is_some_and(|key| key.attempt <= place.whole) {
                            continue;
                        }
                        place.offset = piece.offset + u64::try_from(piece.data.len()).unwrap_or(0);
                        last.clone_from(&attempt);
                        each(LogPiece {
                            attempt,
                            lost: piece.lost,
                            data: piece.data,
                            end_unknown: piece.end_unknown,
                        })?;
                    }
                    // The named try is over; others may have followed it.
                    Ok(None) if place.named => {
                        (place.whole, place.of.attempt) = (place.of.attempt, 0);
                        (place.offset, place.named) = (0, false);
                        break None;
                    }
                    Ok(None) => return Ok(()),
                    Err(status) => break Some(client.refused(&status)),
                }
            },
            Err(error) => Some(error),
        };
        let Some(error) = error else { continue };
        let since = *away.get_or_insert_with(Instant::now);
        if !(error.is_unreachable() && place.resume(last.as_ref())) {
            return Err(error.into());
        }
        let patience = client.timeouts().away;
        if since.elapsed() >= patience {
            return Err(error.after(patience).into());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

impl Place {
    /// Makes the next call go on where the last one stopped, if that can be said. Over several steps or items an
    /// offset has no one meaning; and "the newest try" may be another one by then.
    fn resume(&mut self, last: Option<&AttemptKey>) -> bool {
        if !self.of.follow || self.of.step.is_empty() {
            return false;
        }
        match last {
            Some(key) if key.attempt <= self.whole => true,
            Some(key) if self.of.attempt == 0 => {
                (self.of.attempt, self.named) = (key.attempt, true);
                key.index == self.of.index
            }
            Some(key) => key.index == self.of.index,
            None => self.offset == 0,
        }
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
