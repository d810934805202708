//! gRPC, thin: from the wire to the domain, the call, and back.

mod admin;
mod agent;
mod artifacts;
pub(crate) mod call;
pub(crate) mod convert;
mod diagnose;
mod ending;
pub(crate) mod errors;
mod events;
mod given;
mod growth;
mod health;
mod idempotency;
mod incident_watch;
mod incidents;
mod logs;
mod open;
mod paging;
mod plan;
mod reports;
mod rerun;
mod runs;
mod runs_artifacts;
mod runs_logs;
pub(crate) mod runs_view;
mod session;
mod stream;
mod unreadable;
mod watch;
mod workflows;

use axum::{
    Json,
    extract::Request,
    http::{StatusCode, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use proto::v1;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use types::limits::{ANSWER_BYTES, MESSAGE_BYTES};

use self::errors::{brief, store_status};
pub(crate) use self::growth::{Grew, Growth, log_growth};
use crate::Core;

macro_rules! limited {
    ($service:expr) => {
        $service
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(ANSWER_BYTES)
    };
}

/// All services: gRPC, gRPC-Web on the same paths, reflection in both versions and health.
pub(crate) fn router(core: &Core) -> axum::Router {
    routes(core)
        .into_axum_router()
        .layer(axum::middleware::from_fn_with_state(
            call::Calls::new(),
            call::bounded,
        ))
        .layer(tonic_web::GrpcWebLayer::new())
        .layer(axum::middleware::from_fn(speaks_grpc))
}

/// Content types of gRPC, and of gRPC-Web.
const PLAIN: [&[u8]; 2] = [b"application/grpc", b"application/grpc+proto"];
const WEB: [&[u8]; 4] = [
    b"application/grpc-web",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];

/// What tonic-web answers to anything else is an empty 400: say what is wrong.
async fn speaks_grpc(request: Request, next: Next) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let kind = content_type.map_or(&b""[..], |value| value.as_bytes());
    let kind = kind
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let web = WEB.contains(&kind);
    let reason = if !web && !PLAIN.contains(&kind) {
        "this path is a gRPC method: call it by gRPC (application/grpc), or by gRPC-Web (application/grpc-web, \
         application/grpc-web-text), with messages in protobuf"
    } else if request.version() != Version::HTTP_2 && !web {
        "gRPC needs HTTP/2; over HTTP/1.1 use gRPC-Web (application/grpc-web+proto)"
    } else {
        return next.run(request).await;
    };
    let body = serde_json::json!({ "error": "unsupported_media_type", "reason": reason });
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, Json(body)).into_response()
}

/// The services as calls in this process, for the pages.
pub(crate) fn runs(core: &Core) -> impl v1::run_service_server::RunService + use<> {
    runs::Service(core.clone())
}

pub(crate) fn incidents(core: &Core) -> impl v1::incident_service_server::IncidentService + use<> {
    incidents::Service(core.clone())
}

pub(crate) fn workflows(core: &Core) -> impl v1::workflow_service_server::WorkflowService + use<> {
    workflows::Service(core.clone())
}

pub(crate) fn admin(core: &Core) -> impl v1::admin_service_server::AdminService + use<> {
    admin::Service(core.clone())
}

pub(crate) fn events(core: &Core) -> events::Service {
    events::Service(core.clone())
}

/// A run's events after a seq; ends after its last.
pub(crate) fn run_events(
    core: Core,
    run: types::RunId,
    after: u64,
) -> futures::stream::BoxStream<'static, Result<v1::Event, tonic::Status>> {
    watch::events(core, run, after)
}

/// What a run left.
pub(crate) use self::{
    artifacts::{read as artifact_bytes, removed as artifacts_removed},
    runs_artifacts::{find as find_artifact, list as artifacts_of},
};

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // What the details of errors are made of.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

fn routes(core: &Core) -> Routes {
    use v1::{
        admin_service_server::AdminServiceServer, agent_service_server::AgentServiceServer,
        event_service_server::EventServiceServer, incident_service_server::IncidentServiceServer,
        run_service_server::RunServiceServer, workflow_service_server::WorkflowServiceServer,
    };
    Routes::new(limited!(AgentServiceServer::new(agent::Service(core.clone()))))
        .add_service(limited!(RunServiceServer::new(runs::Service(core.clone()))))
        .add_service(limited!(WorkflowServiceServer::new(workflows::Service(
            core.clone()
        ))))
        .add_service(limited!(IncidentServiceServer::new(incidents::Service(
            core.clone()
        ))))
        .add_service(limited!(EventServiceServer::new(events::Service(core.clone()))))
        .add_service(limited!(AdminServiceServer::new(admin::Service(core.clone()))))
        .add_service(HealthServer::new(health::service(core)))
        .add_service(reflection().build_v1().expect("descriptors of our own build"))
        .add_service(
            reflection()
                .build_v1alpha()
                .expect("descriptors of our own build"),
        )
}
