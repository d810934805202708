//! Incidents by hand, and lists of them.

use proto::v1::{ListIncidentsRequest, OpenIncidentRequest, RefusedWorkflow};
use serde::Serialize;
use types::Object;

use crate::{Client, Error, IncidentView, Page, view::some};

/// An incident that a person opens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenIncident {
    /// The id under which others know it, at most 200 bytes; empty to have one made.
    pub external_id: String,
    /// At most 1,000 bytes.
    pub title: String,
    /// `critical`, `high`, `medium`, `low` or `info`.
    pub severity: String,
    /// What is known, at most 16 KiB.
    pub description: String,
    /// `key=value` or plain; at most 100.
    pub tags: Vec<String>,
    /// For the bound workflows that declare them.
    pub inputs: Object,
    /// An exercise.
    pub test: bool,
    /// Same key and request within 7 days: the same answer. Empty for none.
    pub idempotency_key: String,
}

/// What opening came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenedView {
    /// `inc_…`.
    pub incident: String,
    /// What was started; empty when no workflow is bound.
    pub runs: Vec<String>,
    /// False when it joined one that was open.
    pub opened: bool,
    /// Bound workflows that could not be started for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRunView>,
}

/// A workflow that an alert could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedRunView {
    /// Its name.
    pub workflow: String,
    /// Why, for people.
    pub why: String,
}

impl RefusedRunView {
    fn from_wire(refused: RefusedWorkflow) -> Self {
        Self {
            workflow: refused.workflow,
            why: refused.why,
        }
    }
}

/// Which incidents to list; the default is the newest 50 of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// At most 500; 0 for 50.
    pub limit: u32,
    /// `open` or `resolved`; empty for both.
    pub state: String,
    /// `next` of the page before; empty for the first.
    pub page_token: String,
}

impl Client {
    /// Opens an incident, or joins the open one of the same `external_id`. Durable when it answers.
    ///
    /// # Errors
    /// `Invalid` with the field's path; `AlreadyExists` for a key that was used with another request.
    pub async fn open_incident(&self, open: OpenIncident) -> Result<OpenedView, Error> {
        let request = OpenIncidentRequest {
            external_id: open.external_id,
            title: open.title,
            severity: open.severity,
            description: open.description,
            tags: open.tags,
            inputs_json: if open.inputs.is_empty() {
                String::new()
            } else {
                serde_json::Value::Object(open.inputs).to_string()
            },
            test: open.test,
            idempotency_key: open.idempotency_key,
        };
        let answer = self.take(self.incident_service().open(self.unary(request)).await)?;
        Ok(OpenedView {
            incident: answer.incident_id,
            runs: answer.run_ids,
            opened: answer.opened,
            refused: answer
                .refused
                .into_iter()
                .map(RefusedRunView::from_wire)
                .collect(),
        })
    }

    /// A page of incidents without their history, newest first.
    ///
    /// # Errors
    /// `Invalid` for an unknown state or a token of another list.
    pub async fn incidents_page(&self, filter: &IncidentFilter) -> Result<Page<IncidentView>, Error> {
        let request = ListIncidentsRequest {
            limit: filter.limit,
            page_token: filter.page_token.clone(),
            state: filter.state.clone(),
        };
        let answer = self.take(self.incident_service().list(self.unary(request)).await)?;
        let items = answer.incidents.into_iter().map(IncidentView::from_wire);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: some(answer.next_page_token),
        })
    }
}
