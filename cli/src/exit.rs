//! How commands end: the exit codes that scripts rely on, and failures in words.

use std::{fmt, process::ExitCode};

use sdk::{Error, Refusal};
use types::RunOutcome;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; a watched run succeeded.
    Succeeded = 0,
    /// It failed; a watched run failed or was cancelled.
    Failed = 1,
    /// A wrong command line, definition, input or payload.
    Usage = 2,
    /// A watched run is degraded.
    Degraded = 3,
    /// No server answers.
    Unreachable = 4,
    /// Ctrl-C.
    Interrupted = 130,
    /// Whoever read our output went away.
    Pipe = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<RunOutcome> for Exit {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Succeeded => Self::Succeeded,
            RunOutcome::Degraded => Self::Degraded,
            RunOutcome::Failed | RunOutcome::Cancelled => Self::Failed,
        }
    }
}

/// A command's failure.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) exit: Exit,
    /// What failed and why; empty when all has been said already.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

pub(crate) type Done = Result<Exit, Fault>;

impl Fault {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match &error {
            Error::Url { .. } => Self::usage(message),
            Error::Unreachable { .. } => Self::new(Exit::Unreachable, message).hint(
                "start one with `firehall dev --data-dir DIR`, or name another by --server or FIREHALL_SERVER",
            ),
            Error::NotNow { .. } => Self::new(Exit::Unreachable, message).hint("its log says more; try again later"),
            Error::Refused { kind: Refusal::Invalid, .. } => Self::usage(message),
            Error::Refused { .. } | Error::Answer(_) => Self::failed(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_outcome_but_success_exits_with_zero() {
        use RunOutcome as O;
        let codes =
            [O::Succeeded, O::Degraded, O::Cancelled, O::Failed].map(|outcome| Exit::from(outcome) as u8);
        assert_eq!(codes, [0, 3, 1, 1]);
    }

    #[test]
    fn an_absent_server_has_its_own_code_and_a_way_out() {
        let fault = Fault::from(Error::Unreachable {
            url: "http://x".into(),
            reason: "refused".into(),
        });
        assert_eq!(fault.exit as u8, 4);
        assert!(fault.to_string().contains("firehall dev"), "{fault}");
    }

    #[test]
    fn a_server_that_cannot_now_is_not_called_absent() {
        let fault = Fault::from(Error::NotNow {
            url: "http://x".into(),
            reason: "the store cannot write now, try again".into(),
        });
        assert_eq!(fault.exit as u8, 4);
        let text = fault.to_string();
        assert!(
            text.contains("cannot write now") && !text.contains("firehall dev"),
            "{text}"
        );
    }
}
