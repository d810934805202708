//! Where runtimes honestly differ, as data. Whatever is not here is the same on all of them.

use runtime::LimitsBy;

/// What one runtime answers.
#[derive(Debug, Clone, Copy)]
pub struct Answers {
    /// How the death of the main process by a signal is told.
    pub signals: Signals,
    /// Whom ids inside are on the host.
    pub ids: Ids,
    /// What holds a step to its limits.
    pub limits: LimitsBy,
    /// Whether a step has a cgroup namespace of its own; Podman gives none on cgroup version 1, whatever it is asked for.
    pub cgroup_namespace: bool,
}

/// Whom ids inside are on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// A range that belongs to nobody, each step's its own.
    Range,
    /// The one user that runs the agent.
    Agent,
    /// The same numbers: the daemon maps none.
    Same,
}

/// How a death by a signal comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// As the signal, apart from an exit code.
    Apart,
    /// As the code 128 + signal, which is all that the daemon tells.
    Code,
}
