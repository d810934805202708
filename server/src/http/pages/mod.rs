//! The web page: each handler asks the services of the API, in this process, and gives what they answer to `pages`. So a page
//! shows what the API says, and refuses what the API refuses.

mod agents;
mod ask;
mod assets;
mod forms;
mod headers;
mod home;
mod incidents;
mod live;
mod refusal;
mod run;
mod runs;
mod streams;
mod workflows;

use ::pages::{Section, Shell, Template};
use axum::{
    Extension, Router,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};

pub(super) use self::refusal::{defect, not_allowed, unknown, wants_html};
use self::{ask::Ask, streams::Streams};
use crate::Core;

pub(super) fn router(core: Core) -> Router {
    let streams = Streams::default();
    Router::new()
        .route("/", get(home::show))
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}", get(incidents::show))
        .route("/incidents/{id}/alerts/{alert}", get(incidents::raw))
        .route("/runs", get(runs::list))
        .route("/agents", get(agents::list))
        .route("/workflows", get(workflows::list))
        .route("/workflows/{name}", get(workflows::show))
        .route("/workflows/{name}/steps/{key}", get(workflows::step))
        .route("/live", get(live::stream))
        .route("/assets/{version}/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::icon))
        .merge(forms::router())
        .with_state(core.clone())
        .merge(run::router(core, streams.clone()))
        .layer(Extension(streams))
        .layer(axum::middleware::map_response(headers::guard))
}

/// A page, or why it cannot be made.
fn answer(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What stands around a page that does not change by itself.
fn shell(core: &Core, section: Section, title: impl Into<String>) -> Shell {
    Shell {
        title: title.into(),
        section,
        now_ms: core.clock.now().unix_ms(),
        live: None,
    }
}
