//! `AgentService`: what agents dial.

use futures::stream::BoxStream;
use proto::v1;
use tonic::{Request, Response, Status, Streaming};
use types::{AgentId, LeaseToken};

use super::{artifacts, convert, logs, session};
use crate::{
    Core,
    access::{Permission, authorize},
};

pub(super) struct Service(pub(super) Core);

#[tonic::async_trait]
impl v1::agent_service_server::AgentService for Service {
    type SessionStream = BoxStream<'static, Result<v1::SessionDown, Status>>;
    type PutArtifactStream = BoxStream<'static, Result<v1::PutArtifactResponse, Status>>;
    type GetAttemptArtifactStream = BoxStream<'static, Result<v1::GetAttemptArtifactResponse, Status>>;
    type LogsStream = BoxStream<'static, Result<v1::LogAck, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionUp>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        authorize(&request, Permission::Agent)?;
        Ok(Response::new(session::serve(
            self.0.clone(),
            request.into_inner(),
        )))
    }

    async fn logs(
        &self,
        request: Request<Streaming<v1::LogChunk>>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        authorize(&request, Permission::Agent)?;
        Ok(Response::new(logs::receive(self.0.clone(), request.into_inner())))
    }

    async fn put_artifact(
        &self,
        request: Request<Streaming<v1::PutArtifactRequest>>,
    ) -> Result<Response<Self::PutArtifactStream>, Status> {
        authorize(&request, Permission::Agent)?;
        Ok(Response::new(artifacts::receive(
            self.0.clone(),
            request.into_inner(),
        )))
    }

    async fn get_attempt_artifact(
        &self,
        request: Request<v1::GetAttemptArtifactRequest>,
    ) -> Result<Response<Self::GetAttemptArtifactStream>, Status> {
        authorize(&request, Permission::Agent)?;
        Ok(Response::new(
            artifacts::give(&self.0, request.into_inner()).await?,
        ))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        authorize(&request, Permission::Agent)?;
        let request = request.into_inner();
        let agent: AgentId = convert::id(&request.agent_id, "agent_id")?;
        let tokens = request
            .tokens
            .iter()
            .enumerate()
            .map(|(n, token)| convert::id(token, &format!("tokens[{n}]")))
            .collect::<Result<Vec<LeaseToken>, _>>()?;
        let strange = self
            .0
            .agents
            .renew(&agent, &request.instance, tokens, request.stats);
        // While a run waits to be loaded again after a defect, its leases may not be in the book: nothing is ended for that.
        let stop = if self.0.runs.any_unowned() {
            Vec::new()
        } else {
            strange.iter().map(ToString::to_string).collect()
        };
        Ok(Response::new(v1::HeartbeatResponse { stop }))
    }
}
