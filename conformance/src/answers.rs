//! Where runtimes honestly differ, as data. Whatever is not here is the same on all of them.

/// What one runtime answers.
#[derive(Debug, Clone, Copy)]
pub struct Answers {
    /// How the death of the main process by a signal is told.
    pub signals: Signals,
    /// Ids inside are mapped to a range of the host that belongs to nobody.
    pub user_namespace: bool,
}

/// How a death by a signal comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// As the signal, apart from an exit code.
    Apart,
    /// As the code 128 + signal, which is all that the daemon tells.
    Code,
}
