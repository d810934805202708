//! One incident.

use askama::Template;
use proto::v1;

use crate::{Shell, parts};

/// An incident with its runs.
#[derive(Debug, Template)]
#[template(path = "incident.html")]
pub struct Incident {
    /// Around it.
    pub shell: Shell,
    /// As the API has it.
    pub incident: v1::IncidentInfo,
    /// Its runs, oldest first.
    pub runs: Vec<v1::Run>,
}
