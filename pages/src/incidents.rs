//! The list of incidents.

use askama::Template;
use proto::v1;

use crate::{Shell, parts};

/// A page of incidents, newest first.
#[derive(Debug, Template)]
#[template(path = "incidents.html")]
pub struct Incidents {
    /// Around it.
    pub shell: Shell,
    /// As the API lists them.
    pub incidents: Vec<v1::IncidentInfo>,
    /// `open`, `resolved`, or empty for both.
    pub state: String,
    /// Whether this is not the first page.
    pub later: bool,
    /// Of the next page; empty on the last.
    pub next_page_token: String,
}
