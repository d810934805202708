//! Exponential backoff with full jitter: the wait before try n is drawn evenly between zero and
//! `min(most, first · 2^n)`. Randomness is handed in, so that a test can choose it.

use std::{fmt, time::Duration};

/// Validated bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
}

/// Bounds that make no backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidBackoff {
    /// The first bound is zero: retries would spin.
    ZeroFirst,
    /// The largest wait is below the first.
    MostBelowFirst,
    /// The largest wait is above one hour.
    TooLong,
}

impl fmt::Display for InvalidBackoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroFirst => "backoff: the first wait must be above zero",
            Self::MostBelowFirst => "backoff: the largest wait must not be below the first",
            Self::TooLong => "backoff: the largest wait must be at most one hour",
        })
    }
}

impl std::error::Error for InvalidBackoff {}

impl Backoff {
    /// The bound of the first wait and of all waits.
    ///
    /// # Errors
    /// Bounds that are zero, reversed or above an hour.
    pub const fn new(first: Duration, most: Duration) -> Result<Self, InvalidBackoff> {
        if first.is_zero() {
            Err(InvalidBackoff::ZeroFirst)
        } else if most.as_nanos() < first.as_nanos() {
            Err(InvalidBackoff::MostBelowFirst)
        } else if most.as_secs() > 3_600 {
            Err(InvalidBackoff::TooLong)
        } else {
            Ok(Self { first, most })
        }
    }

    /// The upper bound of the wait before retry `n`, from 0.
    #[must_use]
    pub fn bound(&self, n: u32) -> Duration {
        let factor = 2u32.checked_pow(n).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }

    /// The wait before retry `n`, from 0, for 64 random bits.
    #[must_use]
    pub fn wait(&self, n: u32, entropy: u64) -> Duration {
        let bound = self.bound(n).as_nanos();
        let drawn = ((bound + 1) * u128::from(entropy)) >> 64;
        Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX))
    }
}

/// 64 random bits from the system. Should it have none, the whole bound is waited.
#[must_use]
pub fn entropy() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_validated() {
        let of = |first, most| Backoff::new(Duration::from_millis(first), Duration::from_millis(most));
        assert_eq!(of(0, 1), Err(InvalidBackoff::ZeroFirst));
        assert_eq!(of(2, 1), Err(InvalidBackoff::MostBelowFirst));
        assert_eq!(of(1, 3_601_000), Err(InvalidBackoff::TooLong));
        assert!(of(1, 1).is_ok());
    }

    #[test]
    fn waits_double_up_to_the_bound_and_are_drawn_below_it() -> Result<(), InvalidBackoff> {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1))?;
        let bounds: Vec<u128> = (0..6).map(|n| backoff.bound(n).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.bound(u32::MAX), Duration::from_secs(1));
        assert_eq!(backoff.wait(3, 0), Duration::ZERO);
        assert_eq!(backoff.wait(3, u64::MAX), Duration::from_millis(800));
        assert_eq!(backoff.wait(3, 1 << 63).as_millis(), 400);
        Ok(())
    }
}
