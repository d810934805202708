//! One workflow.

use askama::Template;
use proto::v1;

use crate::Shell;

/// A workflow with its source.
#[derive(Debug, Template)]
#[template(path = "workflow.html")]
pub struct Workflow {
    /// Around it.
    pub shell: Shell,
    /// As the API has it.
    pub workflow: v1::Workflow,
}

impl Workflow {
    /// The source's lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.workflow
            .source
            .lines()
            .enumerate()
            .map(|(n, line)| (n + 1, line))
    }
}
