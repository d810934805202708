//! `GET /incidents`, `GET /incidents/{id}` and what came by its alerts.

use ::pages::{Incident, Incidents, Section};
use axum::{
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use proto::v1;
use serde::Deserialize;

use super::{Ask, answer, live, refusal::Refusal, shell};
use crate::{Core, api::errors};

/// Runs of one incident that its page lists.
const RUNS: u32 = 100;
/// Of those, the newest that are read whole.
const WHOLE_RUNS: usize = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    state: String,
    page_token: String,
}

pub(super) async fn list(
    State(core): State<Core>,
    ask: Ask,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    let later = !filter.page_token.is_empty();
    let mut shell = shell(&core, Section::Incidents, "Incidents");
    shell.live = Some(live::address(&core, &[]));
    let listed = ask
        .incidents(v1::ListIncidentsRequest {
            limit: 0,
            page_token: filter.page_token,
            state: filter.state.clone(),
        })
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&Incidents {
        shell,
        incidents: listed.incidents,
        state: filter.state,
        later,
        next_page_token: listed.next_page_token,
    }))
}

pub(super) async fn show(
    State(core): State<Core>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let mut shell = shell(&core, Section::Incidents, "");
    shell.live = Some(live::address(&core, &[("incident", &id)]));
    let page = load(&ask, shell, id).await;
    let page = page.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&page))
}

async fn load(ask: &Ask, mut shell: ::pages::Shell, id: String) -> Result<Incident, tonic::Status> {
    let incident = ask.incident(v1::GetIncidentRequest { incident_id: id }).await?;
    let request = v1::ListRunsRequest {
        limit: RUNS,
        incident_id: incident.id.clone(),
        ..v1::ListRunsRequest::default()
    };
    let mut runs = ask.runs(request).await?.runs;
    // Newest first: those show what was done.
    for run in runs.iter_mut().take(WHOLE_RUNS) {
        let run_id = run.id.clone();
        *run = ask.run(v1::GetRunRequest { run_id }).await?;
    }
    runs.reverse();
    shell.title.clone_from(&incident.title);
    Incident::new(shell, incident, runs)
        .map_err(|error| errors::defect("an incident's history cannot be shown", error))
}

/// `GET /incidents/{id}/alerts/{alert}`: a delivery's body as it came, as text: nothing in it is run or shown as a page.
pub(super) async fn raw(
    State(core): State<Core>,
    ask: Ask,
    Path((id, alert)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let body = async {
        let alert: types::AlertId = alert.parse().map_err(|error| errors::invalid("alert", error))?;
        let incident = ask.incident(v1::GetIncidentRequest { incident_id: id }).await?;
        let none = || {
            errors::not_found(
                "alert",
                alert.as_str(),
                format_args!("{} has no alert {alert}", incident.id),
            )
        };
        let id = incident.id.parse().map_err(|_| none())?;
        let history = crate::intake::events(&core, &id).await;
        let (history, _) = history.map_err(|error| errors::store_status(&error))?;
        if !history.iter().any(|event| event.what.delivered() == Some(&alert)) {
            return Err(none());
        }
        let found = core.store.evidence(&alert).await;
        let found = found.map_err(|error| errors::store_status(&error))?;
        found.ok_or_else(none)
    };
    let evidence = body.await.map_err(|status| Refusal::new(&core, status))?;
    Ok((
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        evidence.body,
    )
        .into_response())
}
