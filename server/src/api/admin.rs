//! `AdminService`.

use proto::v1;
use tonic::{Request, Response, Status};

use crate::{
    Core,
    access::{Permission, authorize},
    agents::Listed,
};

pub(super) struct Service(pub(super) Core);

fn info(agent: Listed) -> v1::AgentInfo {
    v1::AgentInfo {
        id: agent.id.to_string(),
        name: agent.name,
        version: agent.facts.version,
        state: if agent.connected {
            "connected"
        } else {
            "disconnected"
        }
        .to_owned(),
        labels: agent.labels.0.iter().map(ToString::to_string).collect(),
        capacity: agent.facts.capacity,
        running: agent.running,
        runtimes: agent.facts.runtimes,
        grants: agent.facts.grants,
        connections: agent.facts.connections,
        last_seen_ms: agent.last_seen.unix_ms(),
        draining: false,
    }
}

#[tonic::async_trait]
impl v1::admin_service_server::AdminService for Service {
    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        authorize(&request, Permission::View)?;
        let agents = self.0.agents.list().into_iter().map(info).collect();
        Ok(Response::new(v1::ListAgentsResponse { agents }))
    }

    async fn drain_agent(
        &self,
        _request: Request<v1::DrainAgentRequest>,
    ) -> Result<Response<v1::DrainAgentResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn list_sources(
        &self,
        _request: Request<v1::ListSourcesRequest>,
    ) -> Result<Response<v1::ListSourcesResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn diagnose(
        &self,
        _request: Request<v1::DiagnoseRequest>,
    ) -> Result<Response<v1::DiagnoseResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
