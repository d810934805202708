//! The clocks of a process: boot time for leases and durations, wall time for people.

use std::{fmt, io, time::Duration};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use types::{Millis, Timestamp};

/// An instant in milliseconds since the host's boot, sleep included (`CLOCK_BOOTTIME`, clock_gettime(2)). It means
/// something only within one [`boot_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boot(Millis);

impl Boot {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        // CLOCK_BOOTTIME exists since Linux 2.6.39: the call cannot fail.
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
        Self(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// This instant plus milliseconds, saturating.
    #[must_use]
    pub const fn plus(self, ms: Millis) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since an earlier instant; zero when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot+{} ms", self.0)
    }
}

/// Returns once boot time has reached `at`. After a sleep of the host it is at most a second late: tokio's timers
/// stand still meanwhile.
pub async fn sleep_until(at: Boot) {
    loop {
        let left = at.since(Boot::now());
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(left.min(1_000))).await;
    }
}

/// The kernel's name of this boot (random(4)): an instant of another boot says nothing.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Wall time, for people and for ids; never for a decision.
#[must_use]
pub fn wall() -> Timestamp {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_goes_on_and_subtraction_saturates() {
        let (a, b) = (Boot::now(), Boot::now());
        assert!(a <= b && a > Boot::default());
        assert_eq!((a.since(a.plus(5)), a.plus(5).since(a)), (0, 5));
        assert_eq!(boot_id().map(|id| id.len()).ok(), Some(36));
    }

    #[tokio::test]
    async fn a_sleep_ends_at_its_instant() {
        let at = Boot::now().plus(30);
        sleep_until(at).await;
        assert!(Boot::now() >= at);
    }
}
