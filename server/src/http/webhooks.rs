//! An alert comes in: checked, normalised, grouped, and with its runs made durable in one transaction; then 202.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use incident::Source;
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use types::Object;

use super::body::{self, BodyError};
use crate::{
    Core,
    intake::{Accepted, Arrival},
    store::StoreError,
};

/// Bodies that are held at once, each of at most `limits::WEBHOOK_BODY_BYTES`.
const AT_ONCE: usize = 128;
/// How long a sender waits for its turn beyond them.
const TURN: Duration = Duration::from_secs(10);
/// What a sender is told to wait when the store cannot write, seconds.
const RETRY_AFTER: &str = "5";

#[derive(Clone)]
pub(super) struct Ingest {
    core: Core,
    turns: Arc<Semaphore>,
}

/// Why it is not accepted.
#[derive(Debug)]
enum Refusal {
    /// Never: the sender must change something.
    Never {
        status: StatusCode,
        error: String,
        reason: String,
    },
    /// Not now: send it again.
    Later(String),
}

impl Ingest {
    pub(super) fn new(core: Core) -> Self {
        Self {
            core,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The whole answer. The work goes on in a task of its own: a sender that hangs up does not cut it in two.
    pub(super) async fn receive(self, source: Source, request: Request) -> Response {
        let core = self.core.clone();
        match self.answer(source, request).await {
            Ok(accepted) => {
                core.intake.counts.accepted(source.as_str(), core.clock.now());
                (StatusCode::ACCEPTED, axum::Json(accepted)).into_response()
            }
            Err(refusal) => {
                core.intake.counts.refused(source.as_str(), refusal.reason());
                refusal.into_response()
            }
        }
    }

    async fn answer(self, source: Source, request: Request) -> Result<Accepted, Refusal> {
        let (parts, body) = request.into_parts();
        let Ok(Ok(turn)) = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await else {
            return Err(Refusal::Later("too many webhooks at once".to_owned()));
        };
        // Read whoever sends it: an answer before the body's end may reach its sender as a reset.
        let bytes = body::read(&parts.headers, body).await;
        self.authorized(&parts.headers)?;
        let bytes = bytes.map_err(no_body)?;
        let content_type = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let task = tokio::spawn(async move {
            let _turn = turn;
            self.take(source, content_type, bytes).await
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a webhook's task ended badly");
            Err(Refusal::Later(
                "internal error, the alert was not taken".to_owned(),
            ))
        })
    }

    fn authorized(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(secret) = &self.core.config.webhook_secret else {
            return Ok(());
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '));
        match given {
            // The scheme's case does not matter (RFC 9110, section 11.1).
            Some((scheme, given))
                if scheme.eq_ignore_ascii_case("bearer")
                    && bool::from(given.as_bytes().ct_eq(secret.expose().as_bytes())) =>
            {
                Ok(())
            }
            _ => Err(Refusal::Never {
                status: StatusCode::UNAUTHORIZED,
                error: "unauthorized".to_owned(),
                reason: "this server wants the header `Authorization: Bearer SECRET`".to_owned(),
            }),
        }
    }

    async fn take(
        &self,
        source: Source,
        content_type: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<Accepted, Refusal> {
        let read = incident::normalise(source, content_type.as_deref(), &bytes).map_err(|refused| {
            Refusal::Never {
                status: StatusCode::from_u16(refused.kind.http_status()).unwrap_or(StatusCode::BAD_REQUEST),
                error: refused.kind.as_str().to_owned(),
                reason: refused.to_string(),
            }
        })?;
        let none = Object::new();
        let arrival = Arrival {
            read: &read,
            by: format!("webhook:{}", read.alert.source),
            inputs: &none,
            content_type: content_type.clone().unwrap_or_default(),
            body: &bytes,
            claims: &|_, _| Vec::new(),
        };
        match self.core.intake.take(&self.core, &arrival).await {
            Ok(accepted) => Ok(accepted),
            Err(StoreError::Conflict { .. }) => Err(Refusal::Later("another writer was first".to_owned())),
            Err(error) => {
                tracing::error!(%error, "an alert was not taken");
                Err(Refusal::Later("the store cannot write now".to_owned()))
            }
        }
    }
}

fn no_body(error: BodyError) -> Refusal {
    let limit = types::limits::WEBHOOK_BODY_BYTES;
    let never = |status, error: &str, reason: String| Refusal::Never {
        status,
        error: error.to_owned(),
        reason,
    };
    match error {
        BodyError::TooLarge => never(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a body has at most {limit} bytes"),
        ),
        BodyError::Slow => never(
            StatusCode::REQUEST_TIMEOUT,
            "slow",
            "the body did not come within 20 seconds".to_owned(),
        ),
        BodyError::Broken(why) => never(
            StatusCode::BAD_REQUEST,
            "broken",
            format!("the body broke off: {why}"),
        ),
    }
}

impl Refusal {
    fn reason(&self) -> &str {
        match self {
            Self::Never { reason, .. } | Self::Later(reason) => reason,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Never {
                status,
                error,
                reason,
            } => (status, axum::Json(json!({ "error": error, "reason": reason }))).into_response(),
            Self::Later(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, RETRY_AFTER)],
                axum::Json(json!({ "error": "unavailable", "reason": reason })),
            )
                .into_response(),
        }
    }
}
