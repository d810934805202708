//! `IncidentService.Open`: a person's alert, on the way that all alerts take.

use std::collections::BTreeMap;

use engine::{RunStarted, Trigger};
use incident::{Opening, RefusedRun, by_hand};
use proto::v1;
use tonic::{Code, Request, Response, Status};
use types::{Object, RunId, Severity, Value};
use workflow::Plan;

use super::{
    errors::{self, invalid},
    idempotency::{answered, claim, scope},
    runs::sendable,
    store_status,
};
use crate::{
    Core,
    access::{Caller, Permission, authorize},
    clock::entropy,
    intake::{Accepted, Arrival},
    workflows,
};

/// The claims of `Open`.
const METHOD: &str = "open";
const EXTERNAL_ID_BYTES: usize = 200;
const TITLE_BYTES: usize = 1_000;
const DESCRIPTION_BYTES: usize = 16 * 1024;
const TAGS: usize = 100;
const TAG_BYTES: usize = 200;

pub(super) async fn call(
    core: &Core,
    request: Request<v1::OpenIncidentRequest>,
) -> Result<Response<v1::OpenIncidentResponse>, Status> {
    let caller = authorize(&request, Permission::Respond)?;
    let (core, request) = (core.clone(), request.into_inner());
    // In a task of its own: a caller that hangs up does not cut it in two.
    let opened = tokio::spawn(async move { keyed(&core, &request, &caller).await });
    let opened = opened.await.map_err(|error| {
        errors::defect(
            "opening an incident ended by a defect: it is unknown whether it was opened",
            error,
        )
    })??;
    Ok(Response::new(opened))
}

/// The answer as a claim keeps it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Answer {
    incident: String,
    runs: Vec<String>,
    opened: bool,
    #[serde(default)]
    refused: Vec<RefusedRun>,
}

impl Answer {
    fn new(accepted: &Accepted) -> Self {
        Self {
            incident: accepted.incident_id.to_string(),
            runs: accepted.run_ids.iter().map(ToString::to_string).collect(),
            opened: accepted.opened,
            refused: accepted.refused.clone(),
        }
    }

    fn wire(self) -> v1::OpenIncidentResponse {
        v1::OpenIncidentResponse {
            incident_id: self.incident,
            run_ids: self.runs,
            opened: self.opened,
            refused: self.refused.into_iter().map(refused).collect(),
        }
    }
}

async fn earlier(
    core: &Core,
    request: &v1::OpenIncidentRequest,
    scope: &str,
) -> Result<Option<v1::OpenIncidentResponse>, Status> {
    let Some(text) = answered(core, scope, &request.idempotency_key, request).await? else {
        return Ok(None);
    };
    let answer: Answer = serde_json::from_str(&text).map_err(|error| {
        tracing::error!(%error, "a kept answer cannot be read");
        Status::data_loss("the kept answer to this key cannot be read")
    })?;
    Ok(Some(answer.wire()))
}

async fn keyed(
    core: &Core,
    request: &v1::OpenIncidentRequest,
    caller: &Caller,
) -> Result<v1::OpenIncidentResponse, Status> {
    let scope = scope(caller, METHOD);
    if let Some(answer) = earlier(core, request, &scope).await? {
        return Ok(answer);
    }
    match once(core, request, caller, &scope).await {
        // Two of the same at once: the other was first.
        Err(status) if status.code() == Code::AlreadyExists => {
            earlier(core, request, &scope).await?.ok_or(status)
        }
        answer => answer,
    }
}

async fn once(
    core: &Core,
    request: &v1::OpenIncidentRequest,
    caller: &Caller,
    scope: &str,
) -> Result<v1::OpenIncidentResponse, Status> {
    let read = by_hand(opening(core, request)?);
    let inputs = inputs(core, request, &read.alert).await?;
    let body = serde_json::to_vec(&read.alert)
        .map_err(|error| errors::defect("an alert cannot be written", error))?;
    let arrival = Arrival {
        read: &read,
        by: caller.name.clone(),
        inputs: &inputs,
        content_type: "application/json".to_owned(),
        body: &body,
        claims: &|accepted, now| {
            let answer = serde_json::to_string(&Answer::new(accepted)).unwrap_or_default();
            claim(scope, &request.idempotency_key, request, answer, now)
        },
    };
    let accepted = core
        .intake
        .take(core, &arrival)
        .await
        .map_err(|error| store_status(&error))?;
    core.intake.counts.accepted(incident::MANUAL, core.clock.now());
    Ok(Answer::new(&accepted).wire())
}

fn refused(refused: RefusedRun) -> v1::RefusedWorkflow {
    v1::RefusedWorkflow {
        workflow: refused.workflow,
        why: refused.why,
    }
}

fn opening(core: &Core, request: &v1::OpenIncidentRequest) -> Result<Opening, Status> {
    let at_most = |field: &str, text: &str, most: usize| {
        if text.len() > most {
            return Err(invalid(field, format!("{} bytes, at most {most}", text.len())));
        }
        Ok(())
    };
    at_most("external_id", &request.external_id, EXTERNAL_ID_BYTES)?;
    at_most("title", &request.title, TITLE_BYTES)?;
    at_most("description", &request.description, DESCRIPTION_BYTES)?;
    if request.external_id.chars().any(char::is_control) {
        return Err(invalid("external_id", "it has control characters"));
    }
    if request.title.trim().is_empty() {
        return Err(invalid("title", "required: say what is wrong in a line"));
    }
    let severity = match request.severity.as_str() {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "medium" => Severity::Medium,
        "low" => Severity::Low,
        "info" => Severity::Info,
        "" => {
            return Err(invalid(
                "severity",
                "required: critical, high, medium, low or info",
            ));
        }
        other => {
            let words = ["critical", "high", "medium", "low", "info"];
            let near = workflow::nearest(other, words);
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            let why = format!("{other:?} is not critical, high, medium, low or info{near}");
            return Err(invalid("severity", why));
        }
    };
    if request.tags.len() > TAGS {
        return Err(invalid(
            "tags",
            format!("{} tags, at most {TAGS}", request.tags.len()),
        ));
    }
    for (n, tag) in request.tags.iter().enumerate() {
        at_most(&format!("tags[{n}]"), tag, TAG_BYTES)?;
        if tag.trim().is_empty() {
            return Err(invalid(format!("tags[{n}]"), "empty"));
        }
    }
    let external_id = match request.external_id.trim() {
        "" => types::AlertId::new(core.clock.now(), entropy()).to_string(),
        id => id.to_owned(),
    };
    Ok(Opening {
        external_id,
        title: request.title.clone(),
        severity,
        description: request.description.clone(),
        tags: request.tags.clone(),
        test: request.test,
    })
}

/// The inputs, each declared by a workflow that this alert starts, and of its type there.
async fn inputs(
    core: &Core,
    request: &v1::OpenIncidentRequest,
    alert: &types::Alert,
) -> Result<Object, Status> {
    if request.inputs_json.trim().is_empty() {
        return Ok(Object::new());
    }
    let given: Object = serde_json::from_str(&request.inputs_json)
        .map_err(|error| invalid("inputs_json", format!("not a JSON object: {error}")))?;
    let alert =
        serde_json::to_value(alert).map_err(|error| errors::defect("an alert cannot be written", error))?;
    let bound = workflows::bound_to(core, &alert)
        .await
        .map_err(|error| store_status(&error))?;
    for name in given.keys() {
        if bound.iter().any(|plan| plan.inputs.contains_key(name)) {
            continue;
        }
        let known = bound
            .iter()
            .flat_map(|plan| plan.inputs.keys())
            .map(String::as_str);
        let why = match workflow::nearest(name, known) {
            Some(near) => format!("no bound workflow declares it; did you mean {near:?}?"),
            None if bound.is_empty() => "no workflow is bound to this alert".to_owned(),
            None => "no bound workflow declares it".to_owned(),
        };
        return Err(invalid(format!("inputs_json.{name}"), why));
    }
    let mut wrong = BTreeMap::new();
    let mut bindings = Vec::new();
    for plan in bound {
        match plan.bind_inputs(&workflows::declared(&plan, &given)) {
            Ok(inputs) => bindings.push((plan, inputs)),
            Err(errors) => {
                for error in errors {
                    let why = format!("{}: {}", plan.name, error.message);
                    wrong.entry(error.name).or_insert(why);
                }
            }
        }
    }
    if let Some((name, why)) = wrong.into_iter().next() {
        return Err(invalid(format!("inputs_json.{name}"), &why));
    }
    for (plan, inputs) in bindings {
        fits(core, plan, inputs, alert.clone())?;
    }
    Ok(given)
}

/// Whether the first event of the run that is started can be sent.
fn fits(core: &Core, plan: Plan, inputs: Object, alert: Value) -> Result<(), Status> {
    let trigger = Trigger {
        alert: Some(alert),
        ..Trigger::default()
    };
    let run = RunId::new(core.clock.now(), entropy());
    sendable(&RunStarted::new(run, plan, inputs, trigger), "inputs_json")
}
