//! `/workflows/{name}/run`: a run started by hand.

use ::pages::{
    Section,
    form::{Field, Form, FormPage, Kind},
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use proto::v1::{self, start_run_request::What};
use workflow::Plan;

use super::{
    Ask, Refusal, Submitted, again, answer, done,
    inputs::{self, Defaults},
    key, shell,
};
use crate::{Core, api::errors, http::pages::workflows::load};

pub(crate) async fn show(
    State(core): State<Core>,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let (_, plan) = load(&ask, name, String::new())
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&page(&core, &plan)))
}

pub(crate) async fn submit(
    State(core): State<Core>,
    ask: Ask,
    Path(name): Path<String>,
    sent: Submitted,
) -> Result<Response, Refusal> {
    let (_, plan) = load(&ask, name, String::new())
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    let started = async {
        let given = inputs::read(&plan.inputs, Defaults::Filled, &sent).map_err(errors::invalid_all)?;
        ask.start(v1::StartRunRequest {
            what: Some(What::Workflow(plan.name.clone())),
            inputs_json: types::Value::Object(given).to_string(),
            payload: sent.one("payload").trim().as_bytes().to_vec(),
            idempotency_key: sent.one("key").to_owned(),
            ..v1::StartRunRequest::default()
        })
        .await
    };
    match started.await {
        Ok(started) => Ok(done(&format!("/runs/{}", started.run_id))),
        Err(status) => again(&core, page(&core, &plan), &sent, status),
    }
}

/// The form that starts a run of the plan.
fn form(plan: &Plan) -> Form {
    let path = format!("/workflows/{}", ::pages::encode(&plan.name));
    let mut payload = Field::new("payload", "Alert", Kind::Code(4))
        .help("The body of an alert as a webhook would get it; the workflow reads it as trigger.alert");
    payload.required = plan.on_alert.is_some();
    let mut fields = inputs::fields(&plan.inputs, Defaults::Filled);
    fields.push(payload);
    Form {
        action: format!("{path}/run"),
        key: key(),
        fields,
        more: Vec::new(),
        more_label: String::new(),
        submit: "Start the run".to_owned(),
        grave: false,
        back: path,
        error: String::new(),
    }
}

fn page(core: &Core, plan: &Plan) -> FormPage {
    let form = form(plan);
    FormPage {
        shell: shell(core, Section::Workflows, format!("Run {}", plan.name)),
        crumb: (form.back.clone(), plan.name.clone()),
        heading: format!("Run {}", plan.name),
        intro: plan.description.clone().into_iter().collect(),
        form,
    }
}
