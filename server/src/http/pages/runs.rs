//! `GET /runs`.

use ::pages::{Runs, Section};
use axum::{
    extract::{Query, State},
    response::Response,
};
use proto::v1;
use serde::Deserialize;

use super::{Ask, answer, live, refusal::Refusal, shell};
use crate::{Core, api::errors};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    outcome: String,
    workflow: String,
    page_token: String,
}

/// What a word of the filter asks the API for.
fn outcomes(word: &str) -> Result<(bool, Vec<i32>), tonic::Status> {
    let one = |outcome: v1::Outcome| Ok((false, vec![outcome.into()]));
    match word {
        "" => Ok((false, Vec::new())),
        "live" => Ok((true, Vec::new())),
        "succeeded" => one(v1::Outcome::Succeeded),
        "degraded" => one(v1::Outcome::Degraded),
        "failed" => one(v1::Outcome::Failed),
        "cancelled" => one(v1::Outcome::Cancelled),
        other => Err(errors::invalid(
            "outcome",
            format_args!("{other:?} is not live, succeeded, degraded, failed or cancelled"),
        )),
    }
}

pub(super) async fn list(
    State(core): State<Core>,
    ask: Ask,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    let later = !filter.page_token.is_empty();
    let mut shell = shell(&core, Section::Runs, "Runs");
    shell.live = Some(live::address(&core, &[]));
    let listed = async {
        let (live, outcomes) = outcomes(&filter.outcome)?;
        let request = v1::ListRunsRequest {
            live,
            outcomes,
            workflow: filter.workflow.clone(),
            page_token: filter.page_token,
            ..v1::ListRunsRequest::default()
        };
        ask.runs(request).await
    };
    let listed = listed.await.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&Runs {
        shell,
        runs: listed.runs,
        outcome: filter.outcome,
        workflow: filter.workflow,
        later,
        next_page_token: listed.next_page_token,
    }))
}
