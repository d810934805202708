//! The two clocks: boot time for durations, wall time for people.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot, sleep included.
#[must_use]
pub fn boot() -> Duration {
    // CLOCK_BOOTTIME exists since Linux 2.6.39: the call cannot fail.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Milliseconds since the epoch.
#[must_use]
pub fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
