//! How a store is opened.

use std::str::FromStr;

use super::StoreError;

/// Options of `SqliteStore::open`.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Connections that read, for each of the two databases; at least 1.
    pub readers: u32,
    /// Writes that wait for one database before further callers wait to be queued; at least 1.
    pub queue: usize,
    /// A database of at most this many bytes is checked for damage when it is opened (about 100 ms for 32 MiB).
    pub check_up_to: u64,
    /// Where to die, for tests of crashes. Debug builds only.
    pub failpoint: Option<Failpoint>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            queue: 1024,
            check_up_to: 32 << 20,
            failpoint: None,
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
}

/// On which side of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// All statements are done, nothing is committed.
    Before,
    /// It is committed, nobody has been told.
    After,
}

/// The process aborts at the nth commit: `history.commit.before:3`, `logs.commit.after:1`. A release build never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failpoint {
    /// Of which database.
    pub database: Database,
    /// Before or after the commit.
    pub moment: Moment,
    /// Which commit since the store was opened, from 1.
    pub nth: u64,
}

impl FromStr for Failpoint {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let wrong = || {
            StoreError::Invalid(format!(
                "no failpoint: {text:?} (expected history.commit.before:N)"
            ))
        };
        let (place, nth) = text.split_once(':').ok_or_else(wrong)?;
        let (database, moment) = match place {
            "history.commit.before" => (Database::History, Moment::Before),
            "history.commit.after" => (Database::History, Moment::After),
            "logs.commit.before" => (Database::Logs, Moment::Before),
            "logs.commit.after" => (Database::Logs, Moment::After),
            _ => return Err(wrong()),
        };
        let nth = nth.parse().ok().filter(|nth| *nth > 0).ok_or_else(wrong)?;
        Ok(Self {
            database,
            moment,
            nth,
        })
    }
}

impl Failpoint {
    /// Aborts the process, without destructors, when this is the place and the time.
    pub(super) fn reached(self, database: Database, moment: Moment, nth: u64) {
        #[cfg(debug_assertions)]
        if self
            == (Self {
                database,
                moment,
                nth,
            })
        {
            std::process::abort();
        }
        #[cfg(not(debug_assertions))]
        let _ = (database, moment, nth);
    }
}
