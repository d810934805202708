//! What an operator asks and does: draining, sources, a diagnosis.

use proto::v1::{DiagnoseRequest, DrainAgentRequest, ListSourcesRequest, ListWorkflowsRequest};
use serde::Serialize;
use types::Timestamp;

use crate::{
    AgentView, Client, Error, Page, WorkflowView,
    view::{at, instant, some},
};

/// A way in for alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceView {
    /// `datadog`, `generic`.
    pub name: String,
    /// `/webhook/…`.
    pub path: String,
    /// Whether a bearer secret must be sent.
    pub secret_required: bool,
    /// What its alerts may start.
    pub bound_workflows: Vec<String>,
    /// Deliveries since the server began.
    pub accepted: u64,
    /// Refused ones since the server began.
    pub refused: u64,
    /// The last accepted one; none since the server began.
    #[serde(serialize_with = "instant")]
    pub last_accepted: Option<Timestamp>,
    /// Why the last refused one was refused.
    pub last_refusal: Option<String>,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagnoseView {
    /// Its version.
    pub version: String,
    /// Its wall clock.
    #[serde(serialize_with = "instant")]
    pub now: Option<Timestamp>,
    /// What was looked at.
    pub findings: Vec<FindingView>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingView {
    /// A stable name.
    pub check: String,
    /// How bad.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do; none when it is well.
    pub help: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Well.
    Ok,
    /// It cannot be known from there.
    Unknown,
    /// Worth a look.
    Warning,
    /// Broken.
    Error,
}

impl Client {
    /// Offers an agent nothing new, or undoes that; `agt_…` or its name. Durable when it answers.
    ///
    /// # Errors
    /// `NotFound` for an unknown agent.
    pub async fn drain_agent(&self, agent: &str, undo: bool, reason: &str) -> Result<AgentView, Error> {
        let request = DrainAgentRequest {
            agent: agent.to_owned(),
            undo,
            reason: reason.to_owned(),
        };
        let answer = self.take(self.admin().drain_agent(self.unary(request)).await)?;
        let missing = || Error::Answer("draining: no agent in the answer".to_owned());
        answer.agent.map(AgentView::from_wire).ok_or_else(missing)
    }

    /// The ways alerts come in, and what last came.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn sources(&self) -> Result<Vec<SourceView>, Error> {
        let answer = self.admin().list_sources(self.unary(ListSourcesRequest {})).await;
        let sources = self.take(answer)?.sources.into_iter().map(|source| SourceView {
            name: source.name,
            path: source.path,
            secret_required: source.secret_required,
            bound_workflows: source.bound_workflows,
            accepted: source.accepted,
            refused: source.refused,
            last_accepted: at(source.last_accepted_ms),
            last_refusal: some(source.last_refusal),
        });
        Ok(sources.collect())
    }

    /// How the server is set up and whether its parts work.
    ///
    /// # Errors
    /// See [`Error`]; what is wrong with the server's parts is in the answer.
    pub async fn diagnose(&self) -> Result<DiagnoseView, Error> {
        let answer = self.take(self.admin().diagnose(self.unary(DiagnoseRequest {})).await)?;
        let findings = answer.findings.into_iter().map(|finding| FindingView {
            check: finding.check,
            level: match finding.level.as_str() {
                "ok" => Level::Ok,
                "warning" => Level::Warning,
                "unknown" => Level::Unknown,
                // A word of a newer server is never taken for well.
                _ => Level::Error,
            },
            message: finding.message,
            help: some(finding.help),
        });
        Ok(DiagnoseView {
            version: answer.version,
            now: at(answer.now_ms),
            findings: findings.collect(),
        })
    }

    /// A page of the kept workflows by name, without source and plan. `limit` at most 500, 0 for 500.
    ///
    /// # Errors
    /// `Invalid` for a token of another list.
    pub async fn workflows_page(&self, limit: u32, page_token: &str) -> Result<Page<WorkflowView>, Error> {
        let request = ListWorkflowsRequest {
            limit,
            page_token: page_token.to_owned(),
        };
        let answer = self.take(self.workflows().list(self.unary(request)).await)?;
        let items = answer.workflows.into_iter().map(WorkflowView::from_wire);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: some(answer.next_page_token),
        })
    }
}
