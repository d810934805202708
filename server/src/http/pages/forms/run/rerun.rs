//! `/runs/{id}/rerun`.

use ::pages::form::{Field, FormPage, Kind};
use axum::{
    extract::{Path, State},
    response::Response,
};
use proto::v1;

use super::{Act, load};
use crate::{
    Core,
    http::pages::{
        Ask, answer,
        forms::{Submitted, again, done},
        refusal::Refusal,
    },
};

/// Steps that are shown to be chosen; of a larger run their keys are entered.
const CHOICES: usize = 60;

pub(crate) async fn show(
    State(core): State<Core>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let run = load(&ask, id)
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&page(&core, &run)))
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
    let from = if run.steps.len() > CHOICES {
        sent.lines("from")
    } else {
        sent.all("from").into_iter().map(str::to_owned).collect()
    };
    let request = v1::RerunRequest {
        run_id: run.id.clone(),
        from,
        idempotency_key: sent.one("key").to_owned(),
    };
    match ask.rerun(request).await {
        Ok(started) => Ok(done(&format!("/runs/{}", started.run_id))),
        Err(status) => again(&core, page(&core, &run), &sent, status),
    }
}

fn page(core: &Core, run: &v1::Run) -> FormPage {
    let kind = if run.steps.len() > CHOICES {
        Kind::Lines(6)
    } else {
        let choice = |step: &v1::Step| {
            let text = format!("{} ({})", step.key, step.state.replace('_', " "));
            (step.key.clone(), text, false)
        };
        Kind::Any(run.steps.iter().map(choice).collect())
    };
    let help = "None: those that did not succeed, and what depends on them";
    let help = if matches!(kind, Kind::Any(_)) {
        help.to_owned()
    } else {
        format!("Their keys, one a line. {help}")
    };
    let act = Act {
        verb: "rerun",
        heading: format!("Run {} again", run.workflow),
        intro: vec![
            "A new run of the same plan, inputs and alert. The chosen steps and all that depend on them run again; what the \
             others left is taken over."
                .to_owned(),
        ],
        fields: vec![Field::new("from", "Steps from which on to run again", kind).help(help)],
        submit: "Start the run",
        grave: false,
    };
    act.page(core, run)
}
