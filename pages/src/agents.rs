//! The agents.

use askama::Template;
use proto::v1;

use crate::{Shell, parts};

/// All agents.
#[derive(Debug, Template)]
#[template(path = "agents.html")]
pub struct Agents {
    /// Around it.
    pub shell: Shell,
    /// As the API lists them.
    pub agents: Vec<v1::AgentInfo>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Of the next page; empty on the last.
    pub next_page_token: String,
}
