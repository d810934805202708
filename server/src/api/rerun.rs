//! `RunService.Rerun`: a run repeated, in part or whole.

use engine::NoRerun;
use proto::v1;
use tonic::{Code, Request, Response, Status};
use types::RunId;

use super::{
    brief, convert, errors,
    idempotency::{answered, claim, scope},
    runs::sendable,
    store_status,
};
use crate::{
    Core,
    access::{Caller, Permission, authorize},
    clock::entropy,
    store::{Append, StoreError},
};

/// The claims of `Rerun`.
const METHOD: &str = "rerun";
pub(super) async fn call(
    core: &Core,
    request: Request<v1::RerunRequest>,
) -> Result<Response<v1::StartRunResponse>, Status> {
    let caller = authorize(&request, Permission::Respond)?;
    let (core, request) = (core.clone(), request.into_inner());
    // In a task of its own: a caller that hangs up does not leave half a start.
    let started = tokio::spawn(async move { keyed(&core, &request, &caller).await });
    let run_id = started.await.map_err(|error| {
        errors::defect(
            "a rerun ended by a defect: it is unknown whether the run was started",
            error,
        )
    })??;
    Ok(Response::new(v1::StartRunResponse { run_id }))
}

async fn keyed(core: &Core, request: &v1::RerunRequest, caller: &Caller) -> Result<String, Status> {
    let (scope, key) = (scope(caller, METHOD), &request.idempotency_key);
    if let Some(run) = answered(core, &scope, key, request).await? {
        return Ok(run);
    }
    match once(core, request, caller).await {
        // Two of the same at once: the other was first.
        Err(status) if status.code() == Code::AlreadyExists => {
            answered(core, &scope, key, request).await?.ok_or(status)
        }
        answer => answer,
    }
}

async fn once(core: &Core, request: &v1::RerunRequest, caller: &Caller) -> Result<String, Status> {
    let earlier: RunId = convert::id(&request.run_id, "run_id")?;
    let earlier = core
        .runs
        .load(&earlier)
        .await
        .map_err(|error| store_status(&error))?
        .ok_or_else(|| errors::no_run(&earlier))?;
    let now = core.clock.now();
    let id = RunId::new(now, entropy());
    let prepare = || {
        let (id, by) = (id.clone(), caller.name.clone());
        core.runs.prepare_rerun(&earlier, id, by, &request.from)
    };
    let turn = core.runs.turn_to_begin(&earlier.plan).await;
    let turn = turn.map_err(|deadly| errors::deadly(&earlier.plan.name, deadly))?;
    let prepared = prepare().map_err(|error| refused(&earlier, error))?;
    drop(turn);
    if let Some(Err(status)) = prepared.first().map(|first| sendable(first, "run_id")) {
        return Err(status);
    }
    let scope = scope(caller, METHOD);
    let claims = claim(&scope, &request.idempotency_key, request, id.to_string(), now);
    let stored = match &earlier.trigger.incident {
        Some(incident) => {
            // Prepared anew under the incident's lock, for as often as another writer is first.
            drop(prepared);
            let again = || prepare().map_err(|error| StoreError::Invalid(error.to_string()));
            core.intake.join(core, incident, &earlier.id, again, claims).await
        }
        None => {
            let append = Append {
                claims,
                ..Append::default()
            };
            core.runs.commit(vec![prepared], append).await
        }
    };
    stored.map_err(|error| store_status(&error))?;
    Ok(id.to_string())
}

fn refused(run: &engine::Run, error: NoRerun) -> Status {
    match &error {
        NoRerun::Live => errors::precondition(
            "RUN_LIVE",
            run.id.as_str(),
            format_args!("run {} has not ended: wait for its end, or cancel it", run.id),
        ),
        NoRerun::Nothing => errors::precondition(
            "NOTHING_TO_REPEAT",
            run.id.as_str(),
            format_args!("run {}: {error}", run.id),
        ),
        NoRerun::NoSuchStep { place, step } => {
            let known = run.plan.steps.iter().map(|step| step.key.as_str());
            let near = workflow::nearest(step, known);
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            errors::invalid(
                format!("from[{place}]"),
                format_args!("run {} has no step {:?}{near}", run.id, brief(step)),
            )
        }
    }
}
