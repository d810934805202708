//! `/incidents/new`: an incident opened by hand.

use std::collections::BTreeMap;

use ::pages::{
    Section,
    form::{Field, Form, FormPage, Kind},
};
use axum::{extract::State, response::Response};
use proto::v1;
use tonic::Status;
use workflow::Input;

use super::{
    Ask, Refusal, Submitted, again, answer, done,
    inputs::{self, Defaults},
    key, shell,
};
use crate::{Core, api::errors, workflows};

pub(crate) async fn show(State(core): State<Core>) -> Result<Response, Refusal> {
    let page = page(&core).await;
    page.map(|(page, _)| answer(&page))
        .map_err(|status| Refusal::new(&core, status))
}

pub(crate) async fn submit(State(core): State<Core>, ask: Ask, sent: Submitted) -> Result<Response, Refusal> {
    let page = page(&core).await;
    let (page, known) = page.map_err(|status| Refusal::new(&core, status))?;
    let opened = async {
        let given = inputs::read(&known, Defaults::Named, &sent).map_err(errors::invalid_all)?;
        let inputs_json = if given.is_empty() {
            String::new()
        } else {
            types::Value::Object(given).to_string()
        };
        ask.open(v1::OpenIncidentRequest {
            external_id: sent.one("external_id").to_owned(),
            title: sent.one("title").to_owned(),
            severity: sent.one("severity").to_owned(),
            description: sent.one("description").replace("\r\n", "\n"),
            tags: sent.lines("tags"),
            inputs_json,
            test: sent.ticked("test"),
            idempotency_key: sent.one("key").to_owned(),
        })
        .await
    };
    match opened.await {
        Ok(opened) => Ok(done(&format!("/incidents/{}", opened.incident_id))),
        Err(status) => again(&core, page, &sent, status),
    }
}

/// The form, with the inputs of the workflows that an alert may start.
async fn page(core: &Core) -> Result<(FormPage, BTreeMap<String, Input>), Status> {
    let plans = workflows::with_on_alert(core).await;
    let plans = plans.map_err(|error| errors::store_status(&error))?;
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    let intro = if names.is_empty() {
        "No workflow is bound to alerts: the incident is kept, and nothing is started.".to_owned()
    } else {
        format!(
            "It is an alert as any other: what is bound to alerts may start ({}).",
            names.join(", ")
        )
    };
    // Of two inputs of one name the first one is asked for; the service checks what is given against both.
    let mut known = BTreeMap::new();
    for plan in &plans {
        for (name, input) in &plan.inputs {
            known.entry(name.clone()).or_insert_with(|| input.clone());
        }
    }
    let severities = ["critical", "high", "medium", "low", "info"];
    let none = (String::new(), "How bad is it?".to_owned());
    let severities = severities.map(|word| (word.to_owned(), word.to_owned()));
    let severities = std::iter::once(none).chain(severities).collect();
    let page = FormPage {
        shell: shell(core, Section::Incidents, "Open an incident"),
        crumb: ("/incidents".to_owned(), "Incidents".to_owned()),
        heading: "Open an incident".to_owned(),
        intro: vec![intro],
        form: Form {
            action: "/incidents/new".to_owned(),
            key: key(),
            fields: vec![
                Field::new("title", "Title", Kind::Line)
                    .required()
                    .most(1_000)
                    .help("What is wrong, in a line"),
                Field::new("severity", "Severity", Kind::One(severities)).required(),
                Field::new("external_id", "Known as", Kind::Line).most(200).help(
                    "Its id elsewhere, for example INC-4711. The same id joins the incident that is open.",
                ),
                Field::new("description", "Description", Kind::Lines(4)).help("What is known, plain text"),
                Field::new("tags", "Tags", Kind::Lines(2)).help("One a line, for example team:backend"),
                Field::new("test", "This is an exercise", Kind::Tick)
                    .help("It carries the tag test, and its title says so. The workflows run all the same."),
            ],
            more: inputs::fields(&known, Defaults::Named),
            more_label: "Inputs of the workflows that it starts".to_owned(),
            submit: "Open the incident".to_owned(),
            grave: false,
            back: "/incidents".to_owned(),
            error: String::new(),
        },
    };
    Ok((page, known))
}
