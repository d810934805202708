//! What can be asked of the server from a page. Each form is a page of its own, which is shown again with what was entered and what is
//! wrong with it when the service refuses. A form carries an idempotency key: sent twice, it is done once. Foreign pages cannot
//! send any (`guard`).

mod agent;
mod inputs;
mod open;
mod run;
mod start;
mod submitted;

use ::pages::form::{Field, Form, FormPage, Kind};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use self::submitted::Submitted;
use super::{Ask, answer, refusal, refusal::Refusal, shell};
use crate::{Core, clock::entropy};

pub(super) fn router() -> Router<Core> {
    Router::new()
        .route("/incidents/new", get(open::show).post(open::submit))
        .route("/workflows/{name}/run", get(start::show).post(start::submit))
        .route(
            "/runs/{id}/cancel",
            get(run::cancel::show).post(run::cancel::submit),
        )
        .route("/runs/{id}/rerun", get(run::rerun::show).post(run::rerun::submit))
        .route(
            "/runs/{id}/resolve",
            get(run::resolve::show).post(run::resolve::submit),
        )
        .route("/agents/{id}/drain", get(agent::show).post(agent::submit))
        .route("/agents/{id}/undrain", post(agent::undo))
        .layer(DefaultBodyLimit::max(submitted::BYTES))
}

/// A key that no other form has.
fn key() -> String {
    format!("page-{}", data_encoding::HEXLOWER.encode(&entropy()))
}

/// What was asked for is done: on to where it shows. By GET, so that a reload does not ask again.
fn done(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// The form again, with what was entered and what is wrong with it; or the refusal alone, where there is nothing to enter.
fn again(core: &Core, mut page: FormPage, sent: &Submitted, status: Status) -> Result<Response, Refusal> {
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::Aborted
        | Code::ResourceExhausted
        | Code::Unavailable => {}
        _ => return Err(Refusal::new(core, status)),
    }
    fill(&mut page.form, sent);
    if status.code() == Code::AlreadyExists {
        // The key did something else before: what is entered now is another thing.
        page.form.key = key();
    }
    blame(&mut page.form, &status);
    let mut response = answer(&page);
    *response.status_mut() = refusal::http_status(status.code());
    Ok(response)
}

fn fill(form: &mut Form, sent: &Submitted) {
    sent.one("key").clone_into(&mut form.key);
    for field in form.all() {
        let name = field.name.clone();
        field.fill(&sent.all(&name));
    }
}

/// Puts each violation at the field that it is about; what is about none stands above the form.
fn blame(form: &mut Form, status: &Status) {
    let violations = status
        .get_details_bad_request()
        .map(|details| details.field_violations);
    let mut above = Vec::new();
    for violation in violations.unwrap_or_default() {
        // `inputs_json.responders[0]` is about the input `responders`, `tags[3]` about `tags`.
        let path = violation.field.as_str();
        let input = path.strip_prefix("inputs_json.");
        let end = |text: &str| text.find(['[', '.']).unwrap_or(text.len());
        let name = match input {
            Some(rest) => format!("{}{}", inputs::PREFIX, &rest[..end(rest)]),
            None => path[..end(path)].to_owned(),
        };
        // What is wrong with a hidden field cannot be shown at it.
        let shown = |field: &&mut Field| field.name == name && field.kind != Kind::Hidden;
        match form.all().find(shown) {
            Some(field) if field.error.is_empty() => field.error = violation.description,
            Some(field) => field.error = format!("{}\n{}", field.error, violation.description),
            None => above.push(format!("{path}: {}", violation.description)),
        }
    }
    form.error = if !above.is_empty() {
        above.join("\n")
    } else if form.all().any(|field| !field.error.is_empty()) {
        "Nothing was done: look at what is marked below.".to_owned()
    } else {
        status.message().to_owned()
    };
}
