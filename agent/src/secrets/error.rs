//! Why a secret is not to be had. Never with its value.

use types::{Failure, FailureKind};

use crate::file::{Source, Sourced};

/// What a source could not do.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Cause {
    why: String,
    passes: bool,
}

impl Cause {
    /// It stays so until somebody does something.
    pub(super) fn lasting(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            passes: false,
        }
    }

    /// It may be gone at the next try.
    pub(super) fn passing(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            passes: true,
        }
    }

    pub(super) fn of(self, name: &str, sourced: &Sourced) -> SecretError {
        let source = match &sourced.source {
            Source::Env(variable) => format!("variable {variable}"),
            Source::File(path) => format!("file {}", path.display()),
            // Its arguments may say more than is good.
            Source::Command(argv) => format!("command {}", argv.first().map_or("", String::as_str)),
            Source::Credential(id) => format!("credential {id}"),
            Source::Vault { path, key } => format!("Vault, key {key} of {path}"),
        };
        SecretError {
            message: format!("secret {name} ({source}; {}): {}", sourced.place, self.why),
            passes: self.passes,
        }
    }
}

/// Why a secret is not to be had: which, from where, and why not.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SecretError {
    message: String,
    passes: bool,
}

impl SecretError {
    pub(super) fn unknown(name: &str) -> Self {
        Self {
            message: format!("this agent has no secret named {name}"),
            passes: false,
        }
    }
}

impl From<SecretError> for Cause {
    fn from(error: SecretError) -> Self {
        Self {
            why: error.message,
            passes: error.passes,
        }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let kind = if error.passes {
            FailureKind::Transient
        } else {
            FailureKind::Start
        };
        Self::new(kind, error.message)
    }
}
