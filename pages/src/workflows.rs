//! The list of workflows.

use crate::{
    Shell, parts,
    workflow::{Bound, Facts},
};
use askama::Template;

/// A page of workflows, by name.
#[derive(Debug, Template)]
#[template(path = "workflows.html")]
pub struct Workflows {
    /// Around it.
    pub shell: Shell,
    /// By name.
    pub workflows: Vec<Facts>,
    /// Of the next page; empty on the last.
    pub next_page_token: String,
}
