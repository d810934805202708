//! Runs beyond starting one: lists with filters and pages, and repeating.

use proto::v1::{ListRunsRequest, Outcome, RerunRequest};
use types::{RunOutcome, Timestamp};

use crate::{Client, Error, RunView};

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// For the next page, with the same filter; none on the last one.
    pub next: Option<String>,
}

/// Which runs to list; the default is the newest 50 of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// At most 500; 0 for 50.
    pub limit: u32,
    /// Only of this workflow; empty for all.
    pub workflow: String,
    /// Only with one of these outcomes; empty for all.
    pub outcomes: Vec<RunOutcome>,
    /// Only those that have not ended.
    pub live: bool,
    /// Only of this incident, `inc_…`; empty for all.
    pub incident: String,
    /// Only started at or after this.
    pub from: Option<Timestamp>,
    /// Only started before this.
    pub before: Option<Timestamp>,
    /// `next` of the page before; empty for the first.
    pub page_token: String,
}

impl Client {
    /// A page of runs without their steps, newest first.
    ///
    /// # Errors
    /// `Invalid` for a filter that the server does not take or a token of another list.
    pub async fn runs_page(&self, filter: &RunFilter) -> Result<Page<RunView>, Error> {
        let outcome = |outcome: &RunOutcome| match outcome {
            RunOutcome::Succeeded => Outcome::Succeeded.into(),
            RunOutcome::Degraded => Outcome::Degraded.into(),
            RunOutcome::Failed => Outcome::Failed.into(),
            RunOutcome::Cancelled => Outcome::Cancelled.into(),
        };
        let request = ListRunsRequest {
            limit: filter.limit,
            before: String::new(),
            workflow: filter.workflow.clone(),
            outcomes: filter.outcomes.iter().map(outcome).collect(),
            live: filter.live,
            incident_id: filter.incident.clone(),
            started_from_ms: filter.from.map_or(0, Timestamp::unix_ms),
            started_before_ms: filter.before.map_or(0, Timestamp::unix_ms),
            page_token: filter.page_token.clone(),
        };
        let answer = self.take(self.runs().list(self.unary(request)).await)?;
        let items = answer.runs.into_iter().map(RunView::from_wire);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: crate::view::some(answer.next_page_token),
        })
    }

    /// Starts a new run of the same plan, inputs and alert: the steps in `from` and what depends on them run again, the
    /// others' outputs are taken over. An empty `from` means the steps that did not succeed. Answers the new run's id.
    ///
    /// # Errors
    /// `Precondition` while the earlier run is live, `Invalid` for a step that the plan does not have.
    pub async fn rerun(&self, run: &str, from: &[String], idempotency_key: &str) -> Result<String, Error> {
        let request = RerunRequest {
            run_id: run.to_owned(),
            from: from.to_vec(),
            idempotency_key: idempotency_key.to_owned(),
        };
        let answer = self.runs().rerun(self.unary(request)).await;
        Ok(self.take(answer)?.run_id)
    }
}
