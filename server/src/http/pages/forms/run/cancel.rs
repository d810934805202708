//! `/runs/{id}/cancel`.

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
    let request = v1::CancelRunRequest {
        run_id: run.id.clone(),
        reason: sent.one("reason").to_owned(),
    };
    match ask.cancel(request).await {
        // One that has ended meanwhile says how on its page.
        Ok(v1::CancelRunResponse { .. }) => Ok(done(&format!("/runs/{}", run.id))),
        Err(status) => again(&core, page(&core, &run), &sent, status),
    }
}

fn page(core: &Core, run: &v1::Run) -> FormPage {
    let nothing_to_do = if run.outcome() != v1::Outcome::Unspecified {
        Some("It has ended: there is nothing to cancel.")
    } else if run.cancel_requested {
        Some("It is being cancelled already.")
    } else {
        None
    };
    let intro = nothing_to_do.unwrap_or(
        "Steps that run are told to end, then stopped; nothing new begins. What they did outside stays done.",
    );
    let (fields, submit) = match nothing_to_do {
        Some(_) => (Vec::new(), ""),
        None => (
            vec![Field::new("reason", "Why", Kind::Line).help("For the history")],
            "Cancel the run",
        ),
    };
    let act = Act {
        verb: "cancel",
        heading: format!("Cancel {}", run.workflow),
        intro: vec![intro.to_owned()],
        fields,
        submit,
        grave: true,
    };
    act.page(core, run)
}
