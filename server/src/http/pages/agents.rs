//! `GET /agents`.

use ::pages::{Agents, Section};
use axum::{
    extract::{Query, State},
    response::Response,
};
use proto::v1;
use serde::Deserialize;

use super::{Ask, answer, live, refusal::Refusal, shell};
use crate::Core;

/// Agents on a page.
const PAGE: u32 = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Where {
    page_token: String,
}

pub(super) async fn list(
    State(core): State<Core>,
    ask: Ask,
    Query(at): Query<Where>,
) -> Result<Response, Refusal> {
    let mut shell = shell(&core, Section::Agents, "Agents");
    shell.live = Some(live::with_agents(&core));
    let later = !at.page_token.is_empty();
    let request = v1::ListAgentsRequest {
        limit: PAGE,
        page_token: at.page_token,
    };
    let listed = ask.agents(request).await;
    let listed = listed.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&Agents {
        shell,
        agents: listed.agents,
        later,
        next_page_token: listed.next_page_token,
    }))
}
