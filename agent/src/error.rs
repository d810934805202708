//! Why an agent cannot start or go on.

use std::{io, path::PathBuf};

/// Why an agent cannot start or go on. What is on disk stays; steps in containers go on running.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent holds the data directory.
    #[error("{}: another agent uses this data directory: give each agent its own --data-dir", .0.display())]
    InUse(PathBuf),
    /// The data directory or the spool cannot be used.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The spool is not one, or of a newer version.
    #[error("{}: not a spool of this version of Firehall: {why}", path.display())]
    Spool {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// Steps in containers are in its care, but it cannot run containers now.
    #[error("{count} steps in containers are in this agent's care, but: {why}")]
    Orphans {
        /// How many.
        count: usize,
        /// Why it cannot.
        why: String,
    },
    /// A defect.
    #[error("a task of the agent panicked")]
    Panicked,
}

/// Names what was tried.
pub(crate) fn tried(what: impl Into<String>) -> impl FnOnce(io::Error) -> AgentError {
    move |cause| AgentError::Io {
        what: what.into(),
        cause,
    }
}
