//! The list of runs.

use askama::Template;
use proto::v1;

use crate::{Shell, parts};

/// A page of runs, newest first.
#[derive(Debug, Template)]
#[template(path = "runs.html")]
pub struct Runs {
    /// Around it.
    pub shell: Shell,
    /// As the API lists them.
    pub runs: Vec<v1::Run>,
    /// `live`, an outcome's word, or empty for all.
    pub outcome: String,
    /// Only of this workflow; empty for all.
    pub workflow: String,
    /// Whether this is not the first page.
    pub later: bool,
    /// Of the next page; empty on the last.
    pub next_page_token: String,
}
