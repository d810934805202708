//! `GET /incidents` and `GET /incidents/{id}`.

use ::pages::{Incident, Incidents, Section};
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use proto::v1;
use serde::Deserialize;

use super::{Ask, answer, live, refusal::Refusal, shell};
use crate::Core;

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
    let page = async {
        let request = v1::GetIncidentRequest { incident_id: id };
        let incident = ask.incident(request).await?;
        let runs = ask
            .runs(v1::ListRunsRequest {
                limit: 500,
                incident_id: incident.id.clone(),
                ..v1::ListRunsRequest::default()
            })
            .await?;
        shell.title.clone_from(&incident.title);
        let runs = runs.runs.into_iter().rev().collect();
        Ok(Incident {
            shell,
            incident,
            runs,
        })
    };
    let page = page.await.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&page))
}
