//! `WorkflowService.Plan`: what a run would do, with the agents of now. Reads only.

use engine::outlook::{Question, outlook};
use proto::v1::{self, plan_request::What};
use tonic::{Request, Response, Status};
use types::limits;
use workflow::Plan;

use super::{
    errors::{self, no_workflow, store_status},
    given,
    workflows::{file_name, told},
};
use crate::{
    Core,
    access::{Permission, authorize},
    workflows,
};

/// What an outlook may have beside the message's other parts.
const OUTLOOK_BYTES: usize = limits::ANSWER_BYTES - 16 * 1024;

pub(super) async fn call(
    core: &Core,
    request: Request<v1::PlanRequest>,
) -> Result<Response<v1::PlanResponse>, Status> {
    authorize(&request, Permission::View)?;
    let request = request.into_inner();
    let plan = match request.what {
        Some(What::Source(source)) => {
            file_name(&request.file)?;
            let (_, compiled) = workflows::compiled(core, &request.file, &source).await;
            match compiled.plan {
                Some(plan) => plan,
                None => {
                    return Ok(Response::new(v1::PlanResponse {
                        diagnostics: told(&compiled.diagnostics),
                        outlook_json: String::new(),
                    }));
                }
            }
        }
        Some(What::Workflow(name)) => kept(core, &name).await?,
        None => return Err(errors::invalid("what", "give source or workflow")),
    };
    let inputs = given::inputs(&request.inputs_json)?;
    let alert = match request.payload.as_slice() {
        [] => None,
        payload => Some(given::alert(payload)?),
    };
    let outlook = outlook(&Question {
        plan: &plan,
        catalogue: &core.config.catalogue,
        inputs: &inputs,
        alert: alert.as_ref(),
        agents: Some(&core.agents.snapshot()),
    })
    .map_err(given::refused)?;
    let outlook_json = serde_json::to_string(&outlook)
        .map_err(|error| errors::defect("an outlook cannot be written", error))?;
    if outlook_json.len() > OUTLOOK_BYTES {
        let bytes = outlook_json.len();
        return Err(errors::invalid(
            "what",
            format_args!(
                "its outlook has {bytes} bytes, at most {OUTLOOK_BYTES} fit into an answer: `firehall plan FILE` without \
                 --remote has no such limit"
            ),
        ));
    }
    Ok(Response::new(v1::PlanResponse {
        diagnostics: Vec::new(),
        outlook_json,
    }))
}

/// The newest plan of a kept workflow.
pub(super) async fn kept(core: &Core, name: &str) -> Result<Plan, Status> {
    if name.is_empty() {
        return Err(errors::invalid("workflow", "required: a kept workflow's name"));
    }
    let row = core.store.workflow(name, None).await;
    let row = row.map_err(|error| store_status(&error))?;
    let row = row.ok_or_else(|| no_workflow(name, None))?;
    workflows::plan(&row).map_err(|error| store_status(&error))
}
