//! Rate limits: one token bucket per method (per channel for `chat.postMessage`).
//!
//! Source: <https://docs.slack.dev/apis/web-api/rate-limits>. Slack promises *at least* the tier's calls a
//! minute; the emulator gives exactly that, with the whole minute as the burst.

use std::{collections::HashMap, time::Duration};

use super::{catalogue::Method, ids::ChannelId};

/// How often a method may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Calls that may come at once.
    pub(crate) burst: u64,
    /// Calls regained each minute.
    pub(crate) per_minute: u64,
}

/// One call, in the unit the buckets count.
const CALL: u64 = 60_000_000;

#[derive(Debug)]
struct Bucket {
    /// Micro-calls times sixty, so that a microsecond regains exactly `per_minute`.
    left: u64,
    at: Duration,
}

/// All buckets. Time is handed in, so that the arithmetic can be proved without waiting.
#[derive(Debug, Default)]
pub(crate) struct Limiter(HashMap<(Method, Option<ChannelId>), Bucket>);

impl Limiter {
    /// Takes one call at `now`, or says how many whole seconds to wait (at least 1).
    pub(crate) fn take(
        &mut self,
        method: Method,
        channel: Option<ChannelId>,
        rate: Rate,
        now: Duration,
    ) -> Result<(), u64> {
        let full = rate.burst.saturating_mul(CALL);
        let bucket = self
            .0
            .entry((method, channel))
            .or_insert(Bucket { left: full, at: now });
        let elapsed = u64::try_from(now.saturating_sub(bucket.at).as_micros()).unwrap_or(u64::MAX);
        bucket.left = full.min(
            bucket
                .left
                .saturating_add(elapsed.saturating_mul(rate.per_minute)),
        );
        bucket.at = now;
        if bucket.left >= CALL {
            bucket.left -= CALL;
            return Ok(());
        }
        let micros = (CALL - bucket.left).div_ceil(rate.per_minute.max(1));
        Err(micros.div_ceil(1_000_000).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: Rate = Rate {
        burst: 10,
        per_minute: 60,
    };

    #[test]
    fn a_burst_of_ten_then_one_a_second() {
        let mut limiter = Limiter::default();
        let mut post = |channel: &str, ms| {
            limiter.take(
                Method::ChatPostMessage,
                Some(channel.into()),
                POST,
                Duration::from_millis(ms),
            )
        };
        for n in 0..10 {
            assert_eq!(post("C1", 0), Ok(()), "post {n}");
        }
        assert_eq!(post("C1", 0), Err(1));
        assert_eq!(post("C2", 0), Ok(()), "another channel has its own bucket");
        assert_eq!(post("C1", 999), Err(1));
        assert_eq!(post("C1", 1000), Ok(()));
        assert_eq!(post("C1", 1000), Err(1));
    }

    #[test]
    fn a_tier_says_how_long_to_wait() {
        let mut limiter = Limiter::default();
        let rate = Rate {
            burst: 20,
            per_minute: 20,
        };
        for _ in 0..20 {
            assert_eq!(
                limiter.take(Method::UsersList, None, rate, Duration::ZERO),
                Ok(())
            );
        }
        assert_eq!(
            limiter.take(Method::UsersList, None, rate, Duration::ZERO),
            Err(3)
        );
        assert_eq!(
            limiter.take(Method::UsersList, None, rate, Duration::from_secs(3)),
            Ok(())
        );
    }
}
