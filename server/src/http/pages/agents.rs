//! `GET /agents`.

use ::pages::{Agents, Section};
use axum::{extract::State, response::Response};
use proto::v1;

use super::{Ask, answer, live, refusal::Refusal, shell};
use crate::Core;

pub(super) async fn list(State(core): State<Core>, ask: Ask) -> Result<Response, Refusal> {
    let mut shell = shell(&core, Section::Agents, "Agents");
    shell.live = Some(live::address(&core, &[("agents", "1")]));
    let listed = ask.agents(v1::ListAgentsRequest::default()).await;
    let agents = listed.map_err(|status| Refusal::new(&core, status))?.agents;
    Ok(answer(&Agents { shell, agents }))
}
