//! `GET /`: what burns now.

use ::pages::{Home, Section};
use axum::{extract::State, response::Response};
use proto::v1;

use super::{Ask, answer, live, refusal::Refusal, shell};
use crate::Core;

/// Entries of each list.
const ENTRIES: u32 = 20;
/// Runs that have ended.
const ENDED: u32 = 5;

pub(super) async fn show(State(core): State<Core>, ask: Ask) -> Result<Response, Refusal> {
    let mut shell = shell(&core, Section::Home, "What burns now");
    shell.live = Some(live::with_agents(&core));
    let page = load(ask, shell).await;
    page.map(|page| answer(&page))
        .map_err(|status| Refusal::new(&core, status))
}

async fn load(ask: Ask, shell: ::pages::Shell) -> Result<Home, tonic::Status> {
    let incidents = ask
        .incidents(v1::ListIncidentsRequest {
            limit: ENTRIES,
            state: "open".to_owned(),
            ..v1::ListIncidentsRequest::default()
        })
        .await?;
    let live = ask
        .runs(v1::ListRunsRequest {
            limit: ENTRIES,
            live: true,
            ..v1::ListRunsRequest::default()
        })
        .await?;
    let outcomes = [
        v1::Outcome::Succeeded,
        v1::Outcome::Degraded,
        v1::Outcome::Failed,
        v1::Outcome::Cancelled,
    ];
    let ended = ask
        .runs(v1::ListRunsRequest {
            limit: ENDED,
            outcomes: outcomes.map(i32::from).to_vec(),
            ..v1::ListRunsRequest::default()
        })
        .await?;
    let agents = ask.agents(v1::ListAgentsRequest::default()).await?;
    let workflows = ask
        .workflows(v1::ListWorkflowsRequest {
            limit: 1,
            ..v1::ListWorkflowsRequest::default()
        })
        .await?;
    Ok(Home {
        shell,
        more_incidents: !incidents.next_page_token.is_empty(),
        incidents: incidents.incidents,
        more_live: !live.next_page_token.is_empty(),
        live: live.runs,
        ended: ended.runs,
        more_agents: !agents.next_page_token.is_empty(),
        agents: agents.agents,
        kept: !workflows.workflows.is_empty(),
    })
}
