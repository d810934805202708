//! `GET /healthz`: 200 when the server does its work and as many agents as wanted are connected.

use axum::{extract::State, http::StatusCode};

use crate::Core;

pub(super) async fn healthz(State(core): State<Core>) -> (StatusCode, String) {
    let connected = core.agents.list().iter().filter(|agent| agent.connected).count();
    let wanted = core.config.healthy_with_agents;
    if core.shutdown.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned())
    } else if connected < wanted {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("waiting for agents: {connected} of {wanted} connected\n"),
        )
    } else {
        (StatusCode::OK, format!("ok, {connected} agents connected\n"))
    }
}
