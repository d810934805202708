//! A refusal of the API as a page: what failed, why, and where to go.

use ::pages::{Notice, Section, Shell, Template};
use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use tonic::{Code, Status};

use super::headers;
use crate::Core;

/// Seconds after which to ask again where the store cannot answer now.
const RETRY_AFTER: &str = "2";

/// What a service refused, for the browser.
pub(super) struct Refusal {
    status: Status,
    /// Where HTTP has a more precise word than the status's code.
    code: Option<StatusCode>,
    now_ms: i64,
}

impl Refusal {
    pub(super) fn new(core: &Core, status: Status) -> Self {
        Self {
            status,
            code: None,
            now_ms: core.clock.now().unix_ms(),
        }
    }

    /// With a more precise word of HTTP's.
    pub(super) fn with(core: &Core, code: StatusCode, status: Status) -> Self {
        Self {
            code: Some(code),
            ..Self::new(core, status)
        }
    }
}

/// What HTTP calls it.
pub(super) const fn http_status(code: Code) -> StatusCode {
    told(code).0
}

/// The status of HTTP, in a few words, and what to do.
const fn told(code: Code) -> (StatusCode, &'static str, &'static str) {
    match code {
        Code::NotFound => (
            StatusCode::NOT_FOUND,
            "There is no such thing",
            "Follow a link from one of the lists, or look at the address.",
        ),
        Code::InvalidArgument | Code::OutOfRange => (
            StatusCode::BAD_REQUEST,
            "What was asked for is not of the right form",
            "Look at the address, or go back to the form.",
        ),
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => (
            StatusCode::CONFLICT,
            "That cannot be done now",
            "Go back, look at how things stand, and try again.",
        ),
        Code::PermissionDenied | Code::Unauthenticated => (StatusCode::FORBIDDEN, "You may not do that", ""),
        Code::ResourceExhausted => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too much at once",
            "Try again in a moment.",
        ),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The server cannot answer now",
            "Reload in a moment. Runs go on meanwhile: nothing that was accepted is lost.",
        ),
        Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The server failed",
            "Its log says more; `firehall doctor --remote` looks at its parts.",
        ),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, heading, advice) = told(self.status.code());
        let code = self.code.unwrap_or(code);
        let mut response = notice(self.now_ms, code, heading, self.status.message(), advice);
        if code == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

fn notice(now_ms: i64, code: StatusCode, heading: &str, reason: &str, advice: &str) -> Response {
    let page = Notice {
        shell: Shell {
            title: heading.to_owned(),
            section: Section::None,
            now_ms,
            live: None,
        },
        heading: heading.to_owned(),
        reason: reason.to_owned(),
        advice: advice.to_owned(),
    };
    match page.render() {
        Ok(html) => (code, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            code.into_response()
        }
    }
}

/// Whether a browser asks for a page to show.
pub(crate) fn wants_html(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes().windows(9).any(|word| word == b"text/html"))
}

/// The page where no route is.
pub(crate) fn unknown(core: &Core, path: &str) -> Response {
    let now_ms = core.clock.now().unix_ms();
    let reason = format!("Nothing is at {path}.");
    let mut response = notice(
        now_ms,
        StatusCode::NOT_FOUND,
        "There is no such page",
        &reason,
        "Look at the address, or go on from here.",
    );
    headers::secure(response.headers_mut());
    response
}

/// The page where a route takes other methods: somebody went to the address of a form's button, say.
pub(crate) fn not_allowed(core: &Core, path: &str) -> Response {
    let now_ms = core.clock.now().unix_ms();
    let reason = format!("{path} is not a page to look at, or takes no forms.");
    let mut response = notice(
        now_ms,
        StatusCode::METHOD_NOT_ALLOWED,
        "That is not how it is asked for",
        &reason,
        "Go on from here.",
    );
    headers::secure(response.headers_mut());
    response
}

/// The page where making the page that was asked for ended by a panic.
pub(crate) fn defect(core: &Core) -> Response {
    let now_ms = core.clock.now().unix_ms();
    let mut response = notice(
        now_ms,
        StatusCode::INTERNAL_SERVER_ERROR,
        "This page cannot be shown",
        "A defect of the server; its log says more. Runs go on meanwhile.",
        "Go on from here.",
    );
    headers::secure(response.headers_mut());
    response
}
