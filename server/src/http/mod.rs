//! What is not gRPC: webhooks, health and pages.

mod body;
mod caught;
mod health;
mod metrics;
mod pages;
mod webhooks;

use axum::{
    Json, Router,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use incident::Source;
use serde_json::json;
use types::IncidentId;

use crate::{Core, store::StoreError};

/// An incident's history, oldest first.
pub(crate) async fn load_incident(
    core: &Core,
    id: &IncidentId,
) -> Result<Vec<incident::IncidentEvent>, StoreError> {
    crate::intake::events(core, id).await.map(|(events, _)| events)
}

pub(crate) fn router(core: Core) -> Router {
    let ingest = webhooks::Ingest::new(core.clone());
    let defects = core.clone();
    let mut router = Router::new()
        .route("/healthz", get(health::healthz).with_state(core.clone()))
        .route("/metrics", get(metrics::metrics).with_state(core.clone()))
        .merge(pages::router(core));
    for source in Source::ALL {
        let ingest = ingest.clone();
        let handler = move |request: Request| async move { ingest.receive(source, request).await };
        router = router.route(source.path(), post(handler));
    }
    router.layer(axum::middleware::from_fn_with_state(defects, caught::caught))
}

/// The answer where no route is: to a gRPC client in its own words, to a browser a page, to all others 404.
pub(crate) async fn unknown(core: Core, request: Request) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return tonic::Status::unimplemented("no such service or method").into_http::<axum::body::Body>();
    }
    if pages::wants_html(&request) {
        return pages::unknown(&core, request.uri().path());
    }
    let reason =
        "no such path; webhooks are posted to /webhook/datadog-incident or /webhook/incident-response";
    answer(StatusCode::NOT_FOUND, "not_found", reason)
}

/// The answer where a route takes other methods; axum adds which.
pub(crate) async fn not_allowed(core: Core, request: Request) -> Response {
    if pages::wants_html(&request) {
        return pages::not_allowed(&core, request.uri().path());
    }
    answer(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path takes another method: see the header Allow",
    )
}

/// An error in the form that all of them have.
fn answer(status: StatusCode, error: &str, reason: &str) -> Response {
    (status, Json(json!({ "error": error, "reason": reason }))).into_response()
}
