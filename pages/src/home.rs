//! The first page: what burns now.

use askama::Template;
use proto::v1;

use crate::{Shell, parts};

/// What burns now, what runs now, and who is there to do it.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home {
    /// Around it.
    pub shell: Shell,
    /// Open incidents, newest first.
    pub incidents: Vec<v1::IncidentInfo>,
    /// Whether there are more.
    pub more_incidents: bool,
    /// Live runs, newest first.
    pub live: Vec<v1::Run>,
    /// Whether there are more.
    pub more_live: bool,
    /// The newest runs that have ended.
    pub ended: Vec<v1::Run>,
    /// The agents.
    pub agents: Vec<v1::AgentInfo>,
    /// Whether there are more.
    pub more_agents: bool,
    /// Whether any workflow is kept.
    pub kept: bool,
}

impl Home {
    fn connected(&self) -> usize {
        self.agents
            .iter()
            .filter(|agent| agent.state == "connected")
            .count()
    }
}
