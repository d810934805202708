//! `WorkflowService`.

use proto::v1;
use tonic::{Request, Response, Status};
use workflow::SourceFile;

use super::errors::{self, diagnostic, store_status};
use crate::{
    Core,
    access::{Permission, authorize},
    store::WorkflowRow,
    workflows::{self, Put},
};

pub(super) struct Service(pub(super) Core);

/// Workflows on a page at most.
const LIST_MAX: u32 = 500;

fn row(row: WorkflowRow, whole: bool) -> v1::Workflow {
    v1::Workflow {
        name: row.name,
        version: row.version,
        source: if whole { row.source } else { String::new() },
        plan_json: if whole { row.plan } else { String::new() },
        stored_at_ms: row.stored_at.unix_ms(),
    }
}

#[tonic::async_trait]
impl v1::workflow_service_server::WorkflowService for Service {
    async fn compile(
        &self,
        request: Request<v1::CompileRequest>,
    ) -> Result<Response<v1::CompileResponse>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let (_, compiled) = workflows::compile(&self.0, &request.file, &request.source);
        let plan_json = match &compiled.plan {
            Some(plan) => serde_json::to_string(plan)
                .map_err(|error| errors::defect("a plan cannot be written", error))?,
            None => String::new(),
        };
        let diagnostics = compiled.diagnostics.iter().map(diagnostic).collect();
        Ok(Response::new(v1::CompileResponse {
            diagnostics,
            plan_json,
        }))
    }

    async fn put(
        &self,
        request: Request<v1::PutWorkflowRequest>,
    ) -> Result<Response<v1::PutWorkflowResponse>, Status> {
        authorize(&request, Permission::Author)?;
        let request = request.into_inner();
        match workflows::put(&self.0, &request.file, &request.source)
            .await
            .map_err(|error| store_status(&error))?
        {
            Put::Kept {
                name,
                version,
                changed,
            } => Ok(Response::new(v1::PutWorkflowResponse {
                name,
                version,
                changed,
            })),
            Put::TooLarge(bytes) => Err(errors::invalid(
                "source",
                format_args!("the plan has {bytes} bytes, at most {}", workflows::PLAN_BYTES),
            )),
            Put::Wrong(compiled) => {
                let file = SourceFile {
                    name: request.file,
                    text: request.source,
                };
                Err(errors::definition("source", &file, &compiled.diagnostics))
            }
        }
    }

    async fn get(&self, request: Request<v1::GetWorkflowRequest>) -> Result<Response<v1::Workflow>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let version = Some(request.version.as_str()).filter(|version| !version.is_empty());
        let found = self
            .0
            .store
            .workflow(&request.name, version)
            .await
            .map_err(|error| store_status(&error))?;
        let found = found.ok_or_else(|| errors::no_workflow(&request.name, version))?;
        Ok(Response::new(row(found, true)))
    }

    async fn list(
        &self,
        request: Request<v1::ListWorkflowsRequest>,
    ) -> Result<Response<v1::ListWorkflowsResponse>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let limit = match request.limit {
            0 => LIST_MAX,
            limit => limit.min(LIST_MAX),
        };
        let mut rows = self
            .0
            .store
            .workflows()
            .await
            .map_err(|error| store_status(&error))?;
        // A token is the last name of the page before.
        rows.retain(|row| row.name > request.page_token);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let last = rows.last().filter(|_| more).map(|row| row.name.clone());
        let workflows = rows.into_iter().map(|found| row(found, false)).collect();
        Ok(Response::new(v1::ListWorkflowsResponse {
            workflows,
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Result<Response<v1::PlanResponse>, Status> {
        super::plan::call(&self.0, request).await
    }
}
