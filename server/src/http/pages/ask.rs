//! Asking the API's services in this process: the same code as on the wire, with the same caller.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use proto::v1::{
    self, admin_service_server::AdminService, incident_service_server::IncidentService,
    run_service_server::RunService, workflow_service_server::WorkflowService,
};
use tonic::{Request, Status, metadata::MetadataMap};

use crate::{Core, api};

/// The services, as the one who sent the request.
pub(super) struct Ask {
    core: Core,
    extensions: tonic::Extensions,
}

impl<S> FromRequestParts<S> for Ask
where
    S: Send + Sync,
    Core: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            core: Core::from_ref(state),
            extensions: parts.extensions.clone(),
        })
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $services:ident . $method:ident ($request:ident) -> $answer:ident;)*) => {$(
        $(#[$doc])*
        pub(super) async fn $name(&self, message: v1::$request) -> Result<v1::$answer, Status> {
            let answer = api::$services(&self.core).$method(self.request(message)).await?;
            Ok(answer.into_inner())
        }
    )*};
}

impl Ask {
    /// A message as it would have come by the wire.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        Request::from_parts(MetadataMap::new(), self.extensions.clone(), message)
    }

    calls! {
        run: runs.get(GetRunRequest) -> Run;
        start: runs.start(StartRunRequest) -> StartRunResponse;
        cancel: runs.cancel(CancelRunRequest) -> CancelRunResponse;
        rerun: runs.rerun(RerunRequest) -> StartRunResponse;
        resolve: runs.resolve(ResolveRequest) -> ResolveResponse;
        runs: runs.list(ListRunsRequest) -> ListRunsResponse;
        incident: incidents.get(GetIncidentRequest) -> IncidentInfo;
        open: incidents.open(OpenIncidentRequest) -> OpenIncidentResponse;
        incidents: incidents.list(ListIncidentsRequest) -> ListIncidentsResponse;
        drain: admin.drain_agent(DrainAgentRequest) -> DrainAgentResponse;
        agents: admin.list_agents(ListAgentsRequest) -> ListAgentsResponse;
        workflow: workflows.get(GetWorkflowRequest) -> Workflow;
        workflows: workflows.list(ListWorkflowsRequest) -> ListWorkflowsResponse;
    }
}
