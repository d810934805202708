//! The server's clock and dice: the only place that has them.

use node::clock::{Boot, wall};
use types::{Entropy, Timestamp};

/// Wall time anchored once and carried on by boot time, so that a jump of the host's clock neither fires nor holds back
/// a deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: Timestamp,
    since: Boot,
}

impl Clock {
    /// Anchored now.
    pub(crate) fn start() -> Self {
        Self {
            wall: wall(),
            since: Boot::now(),
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(self.monotonic_ms())
    }

    /// An instant, from milliseconds since it was anchored.
    pub(crate) fn at(&self, ms: u64) -> Timestamp {
        self.wall.plus(ms)
    }

    /// Milliseconds since it was anchored.
    pub(crate) fn monotonic_ms(&self) -> u64 {
        Boot::now().since(self.since)
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
