//! Which Hello of an agent counts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The server's durable memory of one agent's sessions: the highest dial it has taken a Hello of.
///
/// A dial is the agent's own durable counter, raised and synced before every connection. Without it a Hello
/// that hung in a dead connection would come after a newer one, and its stale inventory would pass for proof
/// that an offer was never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Gate {
    last: u64,
}

/// A Hello that is not newer than one already taken. The agent raises its counter above `last` and dials again
/// (its counter may come from an older disk); where this repeats, two agents share one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// The highest dial that was taken.
    pub last: u64,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a session of this agent with dial {} or later was already opened",
            self.last
        )
    }
}

impl std::error::Error for Stale {}

impl Gate {
    /// A gate that has taken all dials up to `last`; 0 for an agent never seen.
    #[must_use]
    pub const fn at(last: u64) -> Self {
        Self { last }
    }

    /// The highest dial taken.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.last
    }

    /// Takes a Hello, to be stored before it is answered.
    ///
    /// # Errors
    /// [`Stale`] when a Hello of this dial or a later one was taken before; its inventory must not be used.
    pub const fn hello(&mut self, dial: u64) -> Result<(), Stale> {
        if dial <= self.last {
            return Err(Stale { last: self.last });
        }
        self.last = dial;
        Ok(())
    }
}
