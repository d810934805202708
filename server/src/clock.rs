//! The server's clock and dice: the only place that has them.

use std::time::Instant;

use types::{Entropy, Timestamp};

/// Wall time anchored once and carried on by the monotonic clock, so that a jump of the host's clock neither fires
/// nor holds back a deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall_ms: i64,
    since: Instant,
}

impl Clock {
    /// Anchored now.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub(crate) fn start() -> Self {
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            since: Instant::now(),
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(self.wall_ms.saturating_add(elapsed))
    }

    /// Milliseconds since it was anchored, by the monotonic clock.
    pub(crate) fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A decision's context.
    pub(crate) fn context(&self) -> engine::Context {
        let bytes = entropy();
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[..8]);
        engine::Context {
            now: self.now(),
            entropy: u64::from_le_bytes(word),
        }
    }
}

/// Random bytes from the kernel. Without them no id and no token can be made: the process must not go on.
pub(crate) fn entropy() -> Entropy {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).expect("the kernel's random source answers");
    bytes
}
