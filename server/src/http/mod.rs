//! What is not gRPC: webhooks and health.

mod body;
mod health;
mod webhooks;

use axum::{
    Router,
    routing::{get, post},
};
use incident::Source;

use types::IncidentId;

use crate::{Core, store::StoreError};

/// An incident's history, oldest first.
pub(crate) async fn load_incident(
    core: &Core,
    id: &IncidentId,
) -> Result<Vec<incident::IncidentEvent>, StoreError> {
    Ok(webhooks::load(core, id)
        .await?
        .map(|known| known.events)
        .unwrap_or_default())
}

pub(crate) fn router(core: Core) -> Router {
    let ingest = webhooks::Ingest::new(core.clone());
    let mut router = Router::new().route("/healthz", get(health::healthz).with_state(core));
    for source in Source::ALL {
        let ingest = ingest.clone();
        let handler =
            move |request: axum::extract::Request| async move { ingest.receive(source, request).await };
        router = router.route(source.path(), post(handler));
    }
    router
}
