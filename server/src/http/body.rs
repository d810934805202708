//! Reading a body that may be too large: beyond the limit it is drained for a while, so that the sender reads the 413
//! instead of a reset connection.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use types::limits;

/// How long a sender may take for its body.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyError {
    /// More than `limits::WEBHOOK_BODY_BYTES`.
    TooLarge,
    /// It did not come in time.
    Slow,
    /// The connection broke.
    Broken(String),
}

/// The whole body. A sender that asks before it sends (`Expect: 100-continue`) is told at once that it is too large.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, BodyError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if headers.contains_key(header::EXPECT) && announced.is_some_and(|n| n > limits::WEBHOOK_BODY_BYTES) {
        return Err(BodyError::TooLarge);
    }
    tokio::time::timeout(PATIENCE, bounded(body))
        .await
        .unwrap_or(Err(BodyError::Slow))
}

async fn bounded(mut body: Body) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let mut seen = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen <= limits::WEBHOOK_BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
            if seen > limits::WEBHOOK_DRAIN_BYTES {
                break;
            }
        }
    }
    if seen > limits::WEBHOOK_BODY_BYTES {
        Err(BodyError::TooLarge)
    } else {
        Ok(bytes)
    }
}
