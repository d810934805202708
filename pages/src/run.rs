//! One run.

use askama::Template;
use proto::v1;

use crate::{Shell, parts};

/// A run with its steps.
#[derive(Debug, Template)]
#[template(path = "run.html")]
pub struct Run {
    /// Around it.
    pub shell: Shell,
    /// As the API has it.
    pub run: v1::Run,
}
