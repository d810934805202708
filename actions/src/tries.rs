//! Trying again what may pass, within the attempt's time.

use std::time::Duration;

use node::backoff::{self, Backoff};
use tokio::time::Instant;

use crate::{ActionContext, ActionError};

/// Kept back from the budget, so that the step can still say why it ends.
const RESERVE: Duration = Duration::from_millis(500);
/// The longest wait that a vendor may ask for, in seconds: what is longer is the step's to decide.
const WAIT_MAX_S: u64 = 3_600;

/// Why one try gave nothing.
pub(crate) enum Failed {
    /// Another try changes nothing.
    Final(ActionError),
    /// It may pass; after this wait, when the vendor named one.
    Passing(ActionError, Option<Duration>),
}

impl Failed {
    fn message(&self) -> &str {
        match self {
            Self::Final(error) | Self::Passing(error, _) => &error.message,
        }
    }
}

/// Tries at most `most` times; each try is one line of the log: `WHAT: WORD in 12 ms`.
pub(crate) async fn tries<T, F>(
    context: &ActionContext,
    what: &str,
    most: u32,
    word: impl Fn(&T) -> String,
    mut once: impl FnMut() -> F,
) -> Result<T, ActionError>
where
    F: Future<Output = Result<T, Failed>>,
{
    for attempt in 0.. {
        let begun = Instant::now();
        let result = once().await;
        let spent = begun.elapsed().as_millis();
        let said = match &result {
            Ok(value) => word(value),
            Err(failed) => failed.message().to_owned(),
        };
        context.log.line(&format!("{what}: {said} in {spent} ms")).await;
        let (error, wait) = match result {
            Ok(value) => return Ok(value),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Passing(error, wait)) => (error, wait),
        };
        let wait = wait.unwrap_or_else(|| wait_before(attempt));
        if attempt + 1 >= most || !pause(context, wait).await {
            return Err(error);
        }
    }
    Err(ActionError::internal(format!("{what}: no try was made")))
}

/// Waits; false when there is no time for it in the attempt's budget, or the attempt is to stop.
pub(crate) async fn pause(context: &ActionContext, pause: Duration) -> bool {
    if pause + RESERVE >= context.remaining() {
        return false;
    }
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = context.cancel.cancelled() => false,
    }
}

/// Where nobody names a wait: full jitter below 200 ms, doubling to 4 s. `retry` counts from 0.
pub(crate) fn wait_before(retry: u32) -> Duration {
    const PACE: Result<Backoff, backoff::InvalidBackoff> =
        Backoff::new(Duration::from_millis(200), Duration::from_secs(4));
    PACE.map_or(Duration::from_secs(1), |pace| {
        pace.wait(retry, backoff::entropy())
    })
}

/// A vendor's wait in seconds, at least one and at most an hour.
pub(crate) fn wait_of(seconds: u64) -> Duration {
    Duration::from_secs(seconds.clamp(1, WAIT_MAX_S))
}

/// `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(context: &ActionContext, text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(wait_of(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let now = u64::try_from(context.clock.now().unix_ms() / 1_000).ok()?;
    Some(wait_of(at.saturating_sub(now)))
}
