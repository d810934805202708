//! The list of workflows.

use askama::Template;
use proto::v1;

use crate::Shell;

/// A page of workflows, by name.
#[derive(Debug, Template)]
#[template(path = "workflows.html")]
pub struct Workflows {
    /// Around it.
    pub shell: Shell,
    /// As the API lists them.
    pub workflows: Vec<v1::Workflow>,
    /// Of the next page; empty on the last.
    pub next_page_token: String,
}
