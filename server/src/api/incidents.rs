//! `IncidentService`.

use proto::v1;
use tonic::{Request, Response, Status};
use types::IncidentId;

use super::{
    convert,
    errors::{self, store_status},
};
use crate::{
    Core,
    access::{Permission, authorize},
    http::load_incident,
    store::IncidentHead,
};

pub(super) struct Service(pub(super) Core);

fn info(id: &IncidentId, head: IncidentHead) -> v1::IncidentInfo {
    v1::IncidentInfo {
        id: id.to_string(),
        state: if head.open { "open" } else { "resolved" }.to_owned(),
        title: head.title,
        severity: head.severity,
        source: head.source,
        opened_at_ms: head.opened_at.unix_ms(),
        resolved_at_ms: convert::ms(head.resolved_at),
        alerts: head.alerts,
        run_ids: head.runs.iter().map(ToString::to_string).collect(),
        history_json: String::new(),
        history_left_out: 0,
        external_id: String::new(),
    }
}

#[tonic::async_trait]
impl v1::incident_service_server::IncidentService for Service {
    type WatchStream = futures::stream::BoxStream<'static, Result<v1::Event, Status>>;

    async fn open(
        &self,
        _request: Request<v1::OpenIncidentRequest>,
    ) -> Result<Response<v1::OpenIncidentResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn watch(
        &self,
        _request: Request<v1::WatchIncidentRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn list(
        &self,
        request: Request<v1::ListIncidentsRequest>,
    ) -> Result<Response<v1::ListIncidentsResponse>, Status> {
        authorize(&request, Permission::View)?;
        let limit = match request.get_ref().limit {
            0 => 50,
            limit => limit.min(500),
        };
        let found = self
            .0
            .store
            .incidents(limit)
            .await
            .map_err(|error| store_status(&error))?;
        let incidents = found.into_iter().map(|(id, head)| info(&id, head)).collect();
        Ok(Response::new(v1::ListIncidentsResponse {
            incidents,
            next_page_token: String::new(),
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetIncidentRequest>,
    ) -> Result<Response<v1::IncidentInfo>, Status> {
        authorize(&request, Permission::View)?;
        let id: IncidentId = convert::id(&request.get_ref().incident_id, "incident_id")?;
        let head = self
            .0
            .store
            .incident(&id)
            .await
            .map_err(|error| store_status(&error))?;
        let head = head.ok_or_else(|| {
            errors::not_found("incident", id.as_str(), format_args!("there is no incident {id}"))
        })?;
        let events = load_incident(&self.0, &id)
            .await
            .map_err(|error| store_status(&error))?;
        let history = serde_json::to_string(&events)
            .map_err(|error| errors::defect("an incident's history cannot be written", error))?;
        Ok(Response::new(v1::IncidentInfo {
            history_json: history,
            ..info(&id, head)
        }))
    }
}
