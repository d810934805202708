//! `/runs/{id}/resolve?step=KEY&index=N`: a person's verdict on what is in doubt.

use ::pages::form::{Field, FormPage, Kind};
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use proto::v1;
use serde::Deserialize;

use super::{Act, load};
use crate::{
    Core,
    api::errors,
    http::pages::{
        Ask, answer,
        forms::{Submitted, again, done},
        refusal::Refusal,
    },
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Which {
    step: String,
    index: String,
}

pub(crate) async fn show(
    State(core): State<Core>,
    ask: Ask,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let run = load(&ask, id)
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    let page = page(&core, &run, &which);
    page.map(|page| answer(&page))
        .map_err(|status| Refusal::new(&core, status))
}

pub(crate) async fn submit(
    State(core): State<Core>,
    ask: Ask,
    Path(id): Path<String>,
    sent: Submitted,
) -> Result<Response, Refusal> {
    let run = load(&ask, id)
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    let which = Which {
        step: sent.one("step").to_owned(),
        index: sent.one("index").to_owned(),
    };
    let page = page(&core, &run, &which).map_err(|status| Refusal::new(&core, status))?;
    let resolved = async {
        let index = match which.index.as_str() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| errors::invalid("index", "not the number of an item"))?,
            ),
        };
        let request = v1::ResolveRequest {
            run_id: run.id.clone(),
            step: which.step.clone(),
            index,
            verdict: sent.one("verdict").to_owned(),
        };
        ask.resolve(request).await
    };
    match resolved.await {
        Ok(v1::ResolveResponse {}) => Ok(done(&format!(
            "/runs/{}/steps/{}",
            run.id,
            ::pages::encode(&which.step)
        ))),
        Err(status) => again(&core, page, &sent, status),
    }
}

fn page(core: &Core, run: &v1::Run, which: &Which) -> Result<FormPage, tonic::Status> {
    let step = run.steps.iter().find(|step| step.key == which.step);
    let step = step.ok_or_else(|| {
        errors::not_found(
            "step",
            &which.step,
            format_args!("{} has no step {:?}", run.id, which.step),
        )
    })?;
    let item = if which.index.is_empty() {
        String::new()
    } else {
        format!(" item {}", which.index)
    };
    let mut intro = vec![
        "Its agent was lost while it ran: it may have run, and nobody knows how it ended. Look at what it does outside before you \
         decide."
            .to_owned(),
    ];
    intro.extend(
        (step.state != "in_doubt").then(|| format!("{} is not in doubt: it is {}.", step.key, step.state)),
    );
    let verdict = |value: &str, word: &str, text: &str| (value.to_owned(), word.to_owned(), text.to_owned());
    let verdicts = vec![
        verdict(
            "succeeded",
            "It succeeded",
            "The run goes on. The step has no outputs.",
        ),
        verdict("failed", "It failed", "The run goes on as after any failure."),
        verdict("rerun", "Run it again", "Only where doing it twice does no harm."),
    ];
    let act = Act {
        verb: "resolve",
        heading: format!("Decide {}{item}", step.key),
        intro,
        fields: vec![
            Field::new("step", "Step", Kind::Hidden).value(which.step.clone()),
            Field::new("index", "Item", Kind::Hidden).value(which.index.clone()),
            Field::new("verdict", "What became of it", Kind::Explained(verdicts)).required(),
        ],
        submit: "Decide",
        grave: false,
    };
    Ok(act.page(core, run))
}
