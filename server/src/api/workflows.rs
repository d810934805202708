//! `WorkflowService`.

use prost::Message;
use proto::v1;
use tonic::{Request, Response, Status};
use types::limits;

use super::{
    errors::{self, diagnostic, store_status},
    paging,
};
use crate::{
    Core,
    access::{Permission, authorize},
    store::WorkflowRow,
    workflows::{self, Put},
};

pub(super) struct Service(pub(super) Core);

/// Diagnostics of one answer, in bytes: a plan, where there is one, fits beside them.
const DIAGNOSTICS_BYTES: usize = limits::ANSWER_BYTES / 4;
/// A file's name, which is for messages only, in bytes.
const FILE_BYTES: usize = 1_024;

/// # Errors
/// INVALID_ARGUMENT for a name that no file has.
pub(super) fn file_name(name: &str) -> Result<(), Status> {
    if name.len() > FILE_BYTES || name.chars().any(char::is_control) {
        return Err(errors::invalid(
            "file",
            format_args!("a file's name of at most {FILE_BYTES} bytes without control characters"),
        ));
    }
    Ok(())
}

/// As many as an answer holds; the last says how many it leaves out.
pub(super) fn told(diagnostics: &[workflow::Diagnostic]) -> Vec<v1::Diagnostic> {
    let mut told: Vec<v1::Diagnostic> = Vec::new();
    let mut bytes = 0;
    for one in diagnostics.iter().map(diagnostic) {
        bytes += one.encoded_len() + 8;
        if bytes > DIAGNOSTICS_BYTES {
            told.push(v1::Diagnostic {
                severity: "error".to_owned(),
                message: format!(
                    "{} more diagnostics do not fit into an answer",
                    diagnostics.len() - told.len()
                ),
                ..v1::Diagnostic::default()
            });
            break;
        }
        told.push(one);
    }
    told
}

/// # Errors
/// INVALID_ARGUMENT for a plan that one message cannot hold beside inputs and an alert.
fn too_large(bytes: usize) -> Status {
    errors::invalid(
        "source",
        format_args!("the plan has {bytes} bytes, at most {}", workflows::PLAN_BYTES),
    )
}

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
        file_name(&request.file)?;
        let (_, compiled) = workflows::compiled(&self.0, &request.file, &request.source).await;
        let plan_json = match &compiled.plan {
            Some(plan) => serde_json::to_string(plan)
                .map_err(|error| errors::defect("a plan cannot be written", error))?,
            None => String::new(),
        };
        if plan_json.len() > workflows::PLAN_BYTES {
            return Err(too_large(plan_json.len()));
        }
        Ok(Response::new(v1::CompileResponse {
            diagnostics: told(&compiled.diagnostics),
            plan_json,
        }))
    }

    async fn put(
        &self,
        request: Request<v1::PutWorkflowRequest>,
    ) -> Result<Response<v1::PutWorkflowResponse>, Status> {
        authorize(&request, Permission::Author)?;
        let request = request.into_inner();
        file_name(&request.file)?;
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
            Put::TooLarge(bytes) => Err(too_large(bytes)),
            Put::Wrong(file, compiled) => Err(errors::definition("source", &file, &compiled.diagnostics)),
        }
    }

    async fn get(&self, request: Request<v1::GetWorkflowRequest>) -> Result<Response<v1::Workflow>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        if request.name.is_empty() {
            return Err(errors::invalid("name", "required: a kept workflow's name"));
        }
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
        let mut rows = self
            .0
            .store
            .workflows()
            .await
            .map_err(|error| store_status(&error))?;
        // A token is the last name of the page before.
        rows.retain(|row| row.name > request.page_token);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let mut workflows: Vec<v1::Workflow> = rows.into_iter().map(|found| row(found, false)).collect();
        let more = paging::cut(&mut workflows, paging::limit(request.limit, paging::MOST));
        let last = workflows.last().filter(|_| more).map(|one| one.name.clone());
        Ok(Response::new(v1::ListWorkflowsResponse {
            workflows,
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Result<Response<v1::PlanResponse>, Status> {
        super::plan::call(&self.0, request).await
    }
}
