//! How a store is opened.

/// Options of `SqliteStore::open`.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Connections that read, for each of the two databases; at least 1.
    pub readers: u32,
    /// Writes that wait for one database before further callers wait to be queued; at least 1.
    pub queue: usize,
    /// A database of at most this many bytes is checked for damage when it is opened (about 100 ms for 32 MiB).
    pub check_up_to: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            queue: 1024,
            check_up_to: 32 << 20,
        }
    }
}

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Events, heads, keys, definitions, agents.
    History,
    /// Logs of attempts.
    Logs,
}

impl Database {
    /// `history` or `logs`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Logs => "logs",
        }
    }

    /// Where a test may let the process die: all statements are done and nothing is committed; it is committed and nobody
    /// has been told.
    pub(super) const fn failpoints(self) -> (&'static str, &'static str) {
        match self {
            Self::History => ("history.commit.before", "history.commit.after"),
            Self::Logs => ("logs.commit.before", "logs.commit.after"),
        }
    }
}
