//! `RunService`.

use engine::{RunStarted, Trigger};
use futures::stream::BoxStream;
use proto::v1;
use protocol::Resolution;
use tonic::{Request, Response, Status};
use types::{RunId, RunOutcome, Timestamp, limits};

use super::{
    convert,
    errors::{self, no_run, run_status, store_status},
    given,
    idempotency::{answered, claim, scope},
    paging,
    stream::answer,
    watch,
    workflows::file_name,
};
use crate::{
    Core,
    access::{Caller, Permission, authorize},
    clock::entropy,
    runs::{self, Ask, RunError},
    store::{Append, RunFilter, RunHead},
    workflows,
};

pub(super) struct Service(pub(super) Core);

/// Runs of a page when nothing is said.
const LIST: u32 = 50;
/// Pieces of a log that wait for a reader.
const LOGS_AHEAD: usize = 16;
/// The claims of `Start`.
const START: &str = "start";

impl Service {
    async fn load(&self, id: &RunId) -> Result<engine::Run, Status> {
        let run = self.0.runs.load(id).await.map_err(|error| store_status(&error))?;
        run.ok_or_else(|| no_run(id))
    }

    async fn plan(&self, request: &v1::StartRunRequest) -> Result<workflow::Plan, Status> {
        use v1::start_run_request::What;
        match &request.what {
            Some(What::Source(source)) => {
                file_name(&request.file)?;
                let (file, compiled) = workflows::compiled(&self.0, &request.file, source).await;
                match compiled.plan {
                    Some(plan) => Ok(plan),
                    None => Err(errors::definition("source", &file, &compiled.diagnostics)),
                }
            }
            Some(What::Workflow(name)) => super::plan::kept(&self.0, name).await,
            None => Err(errors::invalid("what", "give source or workflow")),
        }
    }

    /// Starts the run, or answers the one that the same request started; its definition may be another by now.
    async fn start(&self, request: &v1::StartRunRequest, caller: &Caller) -> Result<String, Status> {
        let (scope, key) = (scope(caller, START), &request.idempotency_key);
        if let Some(run) = answered(&self.0, &scope, key, request).await? {
            return Ok(run);
        }
        match self.start_once(request, caller, &scope).await {
            Ok(run) => Ok(run.to_string()),
            // Two of the same at once: the other was first.
            Err(status) if status.code() == tonic::Code::AlreadyExists => {
                answered(&self.0, &scope, key, request).await?.ok_or(status)
            }
            Err(status) => Err(status),
        }
    }

    async fn start_once(
        &self,
        request: &v1::StartRunRequest,
        caller: &Caller,
        scope: &str,
    ) -> Result<RunId, Status> {
        let plan = self.plan(request).await?;
        let inputs = plan
            .bind_inputs(&given::inputs(&request.inputs_json)?)
            .map_err(given::refused)?;
        let alert = alert(&plan, &request.payload)?;
        let trigger = Trigger {
            alert,
            incident: None,
            by: caller.name.clone(),
        };
        let now = self.0.clock.now();
        let run = RunId::new(now, entropy());
        let first = RunStarted::new(run.clone(), plan, inputs, trigger);
        sendable(&first, "what")?;
        let claims = claim(scope, &request.idempotency_key, request, run.to_string(), now);
        let turn = self.0.runs.turn_to_begin(&first.plan).await;
        let turn = turn.map_err(|deadly| errors::deadly(&first.plan.name, deadly))?;
        let prepared = self.0.runs.prepare(first);
        drop(turn);
        self.0
            .runs
            .commit(
                vec![prepared],
                Append {
                    claims,
                    ..Append::default()
                },
            )
            .await
            .map_err(|error| store_status(&error))?;
        Ok(run)
    }
}

/// INVALID_ARGUMENT for a run of which the first event cannot be sent.
pub(super) fn sendable(first: &RunStarted, field: &str) -> Result<(), Status> {
    let too_large = runs::too_large(first)
        .map_err(|error| errors::defect("a run's first event cannot be written", error))?;
    let Some(bytes) = too_large else { return Ok(()) };
    let most = runs::FIRST_BYTES;
    Err(errors::invalid(
        field,
        format_args!("the run's plan, inputs and payload have {bytes} bytes in all, at most {most}"),
    ))
}

/// The alert that `payload` is; refused where the workflow needs one and there is none.
fn alert(plan: &workflow::Plan, payload: &[u8]) -> Result<Option<types::Value>, Status> {
    if payload.is_empty() {
        return match plan.on_alert {
            Some(_) => Err(errors::invalid(
                "payload",
                format_args!(
                    "{} is started by alerts and reads trigger.alert: give an alert's payload",
                    plan.name
                ),
            )),
            None => Ok(None),
        };
    }
    given::alert(payload).map(Some)
}

/// What a list is asked for; its limit is one more, which says whether there is another page.
fn filter(request: v1::ListRunsRequest) -> Result<RunFilter, Status> {
    let id = |text: &str, field| match text {
        "" => Ok(None),
        text => convert::id::<RunId>(text, field).map(Some),
    };
    let (before, after_page) = (
        id(&request.before, "before")?,
        id(&request.page_token, "page_token")?,
    );
    let mut outcomes = Vec::new();
    for (at, outcome) in request.outcomes.iter().enumerate() {
        outcomes.push(match v1::Outcome::try_from(*outcome) {
            Ok(v1::Outcome::Succeeded) => RunOutcome::Succeeded,
            Ok(v1::Outcome::Degraded) => RunOutcome::Degraded,
            Ok(v1::Outcome::Failed) => RunOutcome::Failed,
            Ok(v1::Outcome::Cancelled) => RunOutcome::Cancelled,
            Ok(v1::Outcome::Unspecified) | Err(_) => {
                return Err(errors::invalid(
                    format!("outcomes[{at}]"),
                    format!("{outcome} is no outcome of a run that has ended"),
                ));
            }
        });
    }
    outcomes.sort_unstable();
    outcomes.dedup();
    let incident = match request.incident_id.as_str() {
        "" => None,
        text => Some(convert::id(text, "incident_id")?),
    };
    let at = |ms: i64, field| match ms {
        0 => Ok(None),
        ms if ms < 0 => Err(errors::invalid(field, "before 1970")),
        ms => Ok(Some(Timestamp::from_unix_ms(ms))),
    };
    let (from, before_ms) = (request.started_from_ms, request.started_before_ms);
    if from > 0 && before_ms > 0 && before_ms <= from {
        return Err(errors::invalid("started_before_ms", "not after started_from_ms"));
    }
    Ok(RunFilter {
        // One more says whether there is another page.
        limit: paging::limit(request.limit, LIST) + 1,
        // Both say "older than": the older one holds.
        before: before.into_iter().chain(after_page).min(),
        workflow: Some(request.workflow).filter(|name| !name.is_empty()),
        live: request.live,
        outcomes,
        incident,
        started_from: at(request.started_from_ms, "started_from_ms")?,
        started_before: at(request.started_before_ms, "started_before_ms")?,
    })
}

#[tonic::async_trait]
impl v1::run_service_server::RunService for Service {
    type WatchStream = BoxStream<'static, Result<v1::Event, Status>>;
    type GetArtifactStream = BoxStream<'static, Result<v1::GetArtifactResponse, Status>>;
    type LogsStream = BoxStream<'static, Result<v1::RunLogsResponse, Status>>;

    async fn start(
        &self,
        request: Request<v1::StartRunRequest>,
    ) -> Result<Response<v1::StartRunResponse>, Status> {
        let caller = authorize(&request, Permission::Respond)?;
        let request = request.into_inner();
        let service = Self(self.0.clone());
        // In a task of its own: a caller that hangs up does not leave half a start.
        let started = tokio::spawn(async move { service.start(&request, &caller).await });
        let run_id = started.await.map_err(|error| {
            errors::defect(
                "a start ended by a defect: it is unknown whether the run was started",
                error,
            )
        })??;
        Ok(Response::new(v1::StartRunResponse { run_id }))
    }

    async fn get(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::Run>, Status> {
        authorize(&request, Permission::View)?;
        let id: RunId = convert::id(&request.get_ref().run_id, "run_id")?;
        let run = self.load(&id).await?;
        Ok(Response::new(super::runs_view::message(
            &run,
            &self.0.agents.snapshot(),
        )))
    }

    async fn list(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let filter = filter(request)?;
        let found = self.0.store.runs(&filter).await;
        let found = found.map_err(|error| store_status(&error))?.into_iter();
        let mut runs: Vec<v1::Run> = found.map(|(id, head)| listed(&id, head)).collect();
        let more = paging::cut(&mut runs, filter.limit - 1);
        let last = runs.last().filter(|_| more).map(|run| run.id.clone());
        Ok(Response::new(v1::ListRunsResponse {
            runs,
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn rerun(
        &self,
        request: Request<v1::RerunRequest>,
    ) -> Result<Response<v1::StartRunResponse>, Status> {
        super::rerun::call(&self.0, request).await
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRunRequest>,
    ) -> Result<Response<v1::CancelRunResponse>, Status> {
        let caller = authorize(&request, Permission::Respond)?;
        let request = request.into_inner();
        let id: RunId = convert::id(&request.run_id, "run_id")?;
        if request.reason.chars().count() > limits::MESSAGE_CHARS {
            return Err(errors::invalid(
                "reason",
                format_args!("at most {} characters", limits::MESSAGE_CHARS),
            ));
        }
        let ask = Ask::Cancel {
            by: caller.name,
            reason: request.reason,
        };
        match self.0.runs.ask(&id, ask).await {
            Ok(()) => Ok(Response::new(v1::CancelRunResponse { accepted: true })),
            Err(RunError::Rejected(engine::Rejected::Ended)) => {
                Ok(Response::new(v1::CancelRunResponse { accepted: false }))
            }
            Err(error) => Err(run_status(&error)),
        }
    }

    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        let caller = authorize(&request, Permission::Respond)?;
        let request = request.into_inner();
        let id: RunId = convert::id(&request.run_id, "run_id")?;
        let resolution = match request.verdict.as_str() {
            "rerun" => Resolution::Rerun,
            "succeeded" => Resolution::Succeeded,
            "failed" => Resolution::Fail,
            other => {
                return Err(errors::invalid(
                    "verdict",
                    format_args!("{other:?} is not rerun, succeeded or failed"),
                ));
            }
        };
        let ask = Ask::Resolve {
            step: request.step,
            index: request.index,
            resolution,
            by: caller.name,
        };
        self.0
            .runs
            .ask(&id, ask)
            .await
            .map_err(|error| run_status(&error))?;
        Ok(Response::new(v1::ResolveResponse {}))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRunRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let id: RunId = convert::id(&request.run_id, "run_id")?;
        let head = self
            .0
            .store
            .run(&id)
            .await
            .map_err(|error| store_status(&error))?;
        head.ok_or_else(|| no_run(&id))?;
        Ok(Response::new(watch::events(
            self.0.clone(),
            id,
            request.after_seq,
        )))
    }

    async fn logs(&self, request: Request<v1::RunLogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let id: RunId = convert::id(&request.run_id, "run_id")?;
        let run = self.load(&id).await?;
        super::runs_logs::check(&run, &request)?;
        let services = convert::services(&run, &request.step);
        let service = convert::service(&services, &request.service)
            .map_err(|why| errors::not_found("service", &request.service, why))?;
        let stream = convert::log_stream(request.stream, service)?;
        let core = self.0.clone();
        Ok(Response::new(answer(LOGS_AHEAD, move |out| async move {
            super::runs_logs::send(&core, run, &request, stream, &out).await
        })))
    }

    async fn list_artifacts(
        &self,
        request: Request<v1::ListArtifactsRequest>,
    ) -> Result<Response<v1::ListArtifactsResponse>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let id: RunId = convert::id(&request.run_id, "run_id")?;
        let run = self.load(&id).await?;
        let page = super::runs_artifacts::page(&self.0, &run, &request).await?;
        Ok(Response::new(page))
    }

    async fn get_artifact(
        &self,
        request: Request<v1::GetArtifactRequest>,
    ) -> Result<Response<Self::GetArtifactStream>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let id: RunId = convert::id(&request.run_id, "run_id")?;
        let run = self.load(&id).await?;
        let artifact = super::runs_artifacts::find(&run, &request)?;
        let stream = super::runs_artifacts::give(&self.0, artifact, request.offset).await?;
        Ok(Response::new(stream))
    }
}

/// The first reasons, and how many there are besides: `Get` has them all.
fn some(mut reasons: Vec<String>) -> Vec<String> {
    if reasons.len() > limits::REASONS {
        let more = reasons.len() - (limits::REASONS - 1);
        reasons.truncate(limits::REASONS - 1);
        reasons.push(format!("and {more} more"));
    }
    reasons
}

fn listed(id: &RunId, head: RunHead) -> v1::Run {
    v1::Run {
        id: id.to_string(),
        workflow: head.workflow,
        outcome: convert::outcome(head.outcome).into(),
        reasons: some(head.reasons),
        started_at_ms: head.started_at.unix_ms(),
        finished_at_ms: convert::ms(head.finished_at),
        incident_id: head.incident.map(|id| id.to_string()).unwrap_or_default(),
        ..v1::Run::default()
    }
}
