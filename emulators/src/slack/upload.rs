//! The address that takes a file's bytes. It takes no token: whoever sends one there is told so, which Slack does not.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{Request, StatusCode, header},
};

use super::{server::Shared, state::File};

/// Largest file, in bytes.
const FILE_BYTES: usize = 16 << 20;

/// Handles `POST /upload/v1/{ticket}`.
pub(crate) async fn receive(
    State(shared): State<Arc<Shared>>,
    Path(ticket): Path<String>,
    request: Request<Body>,
) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "no token belongs here".to_owned());
    }
    let Ok(body) = to_bytes(body, FILE_BYTES).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "too large".to_owned());
    };
    let mut live = shared.live();
    let open = |file: &&mut File| file.ticket == ticket && !file.complete;
    let Some(file) = live.ws.files.iter_mut().find(open) else {
        return (StatusCode::NOT_FOUND, "no such address".to_owned());
    };
    if file.length != body.len() {
        return (StatusCode::BAD_REQUEST, format!("expected {} bytes", file.length));
    }
    file.bytes = Some(body.to_vec());
    (StatusCode::OK, format!("OK - {}", file.length))
}
