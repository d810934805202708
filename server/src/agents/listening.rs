//! Since when the server has been there to hear its agents. What they said while it stood still (stopped, in a paused machine,
//! starved) waits unread in its sockets, so that silence is held against nobody.

use types::{Millis, limits};

/// Looks that are farther apart were held up.
const HELD_UP_MS: Millis = 3_000;
// A shorter pause expires no lease that was renewed at its heartbeats.
const _: () = assert!(HELD_UP_MS + limits::HEARTBEAT_MS < limits::LEASE_MARGIN_MS);

/// Looks that come once a second while the server is not held up. Instants are in milliseconds of the server's clock, which
/// goes on while it stands still.
#[derive(Debug, Default)]
pub(super) struct Listening {
    looked: u64,
    since: u64,
}

impl Listening {
    /// Since when it has been there without a break; whoever asks may come before the look that finds the pause.
    pub(super) const fn since(&self, now: u64) -> u64 {
        if self.stood_still(now) > HELD_UP_MS {
            now
        } else {
            self.since
        }
    }

    /// Looks; how long the server stood still before that, if it did.
    pub(super) fn look(&mut self, now: u64) -> Option<Millis> {
        let still = self.stood_still(now);
        self.since = self.since(now);
        self.looked = self.looked.max(now);
        (still > HELD_UP_MS).then_some(still)
    }

    const fn stood_still(&self, now: u64) -> Millis {
        now.saturating_sub(self.looked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_found_by_whoever_asks_first() {
        let mut listening = Listening::default();
        assert_eq!((listening.look(1_000), listening.look(2_000)), (None, None));
        assert_eq!(
            listening.since(2_000 + HELD_UP_MS),
            0,
            "a busy moment is no pause"
        );
        assert_eq!(listening.since(60_000), 60_000);
        assert_eq!(listening.look(60_010), Some(58_010));
        assert_eq!(listening.look(61_000), None);
        assert_eq!(listening.since(62_000), 60_010);
    }

    #[test]
    fn a_look_with_an_older_instant_changes_nothing() {
        let mut listening = Listening::default();
        assert_eq!((listening.look(1_000), listening.look(900)), (None, None));
        assert_eq!(listening.since(1_100), 0);
    }
}
