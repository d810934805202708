//! A defect ends its request only, with an answer that says so.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use futures::FutureExt;

use super::{answer, pages};
use crate::Core;

pub(super) async fn caught(State(core): State<Core>, request: Request, next: Next) -> Response {
    let (path, is_page) = (request.uri().path().to_owned(), pages::wants_html(&request));
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(path, "a request ended by a panic");
            if is_page {
                return pages::defect(&core);
            }
            let reason = "a defect of the server; its log says more";
            answer(StatusCode::INTERNAL_SERVER_ERROR, "internal", reason)
        }
    }
}
