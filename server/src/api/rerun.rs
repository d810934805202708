//! `RunService.Rerun`: a run repeated, in part or whole.

use engine::NoRerun;
use prost::Message;
use proto::v1;
use sha2::{Digest, Sha256};
use tonic::{Code, Request, Response, Status};
use types::{RunId, limits};

use super::{brief, convert, store_status};
use crate::{
    Core,
    access::{Permission, authorize},
    clock::entropy,
    runs::load,
    store::{Append, Claim, StoreError},
};

/// The claims of `Rerun`.
const SCOPE: &str = "rerun";
/// Bytes of an idempotency key.
const KEY_BYTES: usize = 256;

/// A field that is wrong, with its path.
pub(super) fn invalid(field: &str, why: &str) -> Status {
    super::errors::invalid(field, why)
}

/// A used key as a claim; none without a key.
pub(super) fn claim(
    scope: &str,
    key: &str,
    request: &impl Message,
    answer: String,
    now: types::Timestamp,
) -> Vec<Claim> {
    if key.is_empty() {
        return Vec::new();
    }
    vec![Claim {
        scope: scope.to_owned(),
        key: key.to_owned(),
        request_hash: hash(request),
        answer,
        at: now,
        expires_at: now.plus(limits::IDEMPOTENCY_MS),
    }]
}

/// The answer that the same request got before.
pub(super) async fn answered(
    core: &Core,
    scope: &str,
    key: &str,
    request: &impl Message,
) -> Result<Option<String>, Status> {
    if key.is_empty() {
        return Ok(None);
    }
    if key.len() > KEY_BYTES {
        return Err(invalid("idempotency_key", &format!("at most {KEY_BYTES} bytes")));
    }
    let (found, now) = (hash(request), core.clock.now());
    match core.store.claim(scope, key, now).await {
        Ok(Some(claim)) if claim.request_hash == found => Ok(Some(claim.answer)),
        Ok(Some(claim)) => Err(store_status(&StoreError::Claimed(Box::new(claim)))),
        Ok(None) => Ok(None),
        Err(error) => Err(store_status(&error)),
    }
}

fn hash(request: &impl Message) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(request.encode_to_vec()))
}

pub(super) async fn call(
    core: &Core,
    request: Request<v1::RerunRequest>,
) -> Result<Response<v1::StartRunResponse>, Status> {
    let caller = authorize(&request, Permission::Respond)?;
    let (core, request) = (core.clone(), request.into_inner());
    // In a task of its own: a caller that hangs up does not leave half a start.
    let started = tokio::spawn(async move { keyed(&core, &request, &caller.name).await });
    let run_id = started.await.map_err(|error| {
        tracing::error!(%error, "a rerun ended by a defect");
        Status::internal("a defect of the server; it is unknown whether the run was started")
    })??;
    Ok(Response::new(v1::StartRunResponse { run_id }))
}

async fn keyed(core: &Core, request: &v1::RerunRequest, by: &str) -> Result<String, Status> {
    let key = &request.idempotency_key;
    if let Some(run) = answered(core, SCOPE, key, request).await? {
        return Ok(run);
    }
    match once(core, request, by).await {
        // Two of the same at once: the other was first.
        Err(status) if status.code() == Code::AlreadyExists => {
            answered(core, SCOPE, key, request).await?.ok_or(status)
        }
        answer => answer,
    }
}

async fn once(core: &Core, request: &v1::RerunRequest, by: &str) -> Result<String, Status> {
    let earlier: RunId = convert::id(&request.run_id, "run_id")?;
    let earlier = load(&core.store, &earlier)
        .await
        .map_err(|error| store_status(&error))?
        .ok_or_else(|| Status::not_found(format!("there is no run {earlier}")))?;
    let now = core.clock.now();
    let id = RunId::new(now, entropy());
    let prepare = || {
        let (id, by) = (id.clone(), by.to_owned());
        core.runs.prepare_rerun(&earlier, id, by, &request.from)
    };
    let prepared = prepare().map_err(|error| refused(&earlier, error))?;
    let claims = claim(SCOPE, &request.idempotency_key, request, id.to_string(), now);
    let stored = match &earlier.trigger.incident {
        Some(incident) => {
            // Prepared anew under the incident's lock, for as often as another writer is first.
            core.runs.abandon(&prepared);
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
        NoRerun::Live => Status::failed_precondition(format!(
            "run {} has not ended: wait for its end, or cancel it",
            run.id
        )),
        NoRerun::Nothing => Status::failed_precondition(format!("run {}: {error}", run.id)),
        NoRerun::NoSuchStep { place, step } => {
            let known = run.plan.steps.iter().map(|step| step.key.as_str());
            let near = workflow::nearest(step, known);
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            invalid(
                &format!("from[{place}]"),
                &format!("run {} has no step {:?}{near}", run.id, brief(step)),
            )
        }
    }
}
