//! `GET /workflows` and `GET /workflows/{name}`.

use ::pages::{Section, Workflow, Workflows};
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use proto::v1;
use serde::Deserialize;

use super::{Ask, answer, refusal::Refusal, shell};
use crate::Core;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Where {
    page_token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    version: String,
}

pub(super) async fn list(
    State(core): State<Core>,
    ask: Ask,
    Query(at): Query<Where>,
) -> Result<Response, Refusal> {
    let shell = shell(&core, Section::Workflows, "Workflows");
    let request = v1::ListWorkflowsRequest {
        limit: 0,
        page_token: at.page_token,
    };
    let listed = ask.workflows(request).await;
    let listed = listed.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&Workflows {
        shell,
        workflows: listed.workflows,
        next_page_token: listed.next_page_token,
    }))
}

pub(super) async fn show(
    State(core): State<Core>,
    ask: Ask,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let shell = shell(&core, Section::Workflows, name.clone());
    let request = v1::GetWorkflowRequest {
        name,
        version: which.version,
    };
    let workflow = ask.workflow(request).await;
    let workflow = workflow.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&Workflow { shell, workflow }))
}
