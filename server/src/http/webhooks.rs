//! An alert comes in: checked, normalised, grouped, and with its runs made durable in one transaction; then 202.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::{RunStarted, Trigger};
use incident::{IncidentState, Normalised, Source};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, Semaphore};
use types::{AlertId, IncidentId, RunId, Timestamp};

use super::{
    body::{self, BodyError},
    grouping::{Shard, damaged, group},
};
use crate::{
    Core,
    clock::entropy,
    store::{Append, Evidence, StoreError},
    workflows,
};

/// Alerts of one key are taken one after the other; of different keys together.
const SHARDS: usize = 64;
/// Tries when another writer was first.
const TRIES: usize = 8;
/// Bodies that are held at once, each of at most `limits::WEBHOOK_BODY_BYTES`.
const AT_ONCE: usize = 128;
/// How long a sender waits for its turn beyond them.
const TURN: Duration = Duration::from_secs(10);
/// What a sender is told to wait when the store cannot write, seconds.
const RETRY_AFTER: &str = "5";

#[derive(Clone)]
pub(super) struct Ingest {
    core: Core,
    shards: Arc<Vec<Mutex<Shard>>>,
    turns: Arc<Semaphore>,
}

/// The ids of what an alert became.
#[derive(Debug, Clone, serde::Serialize)]
struct Accepted {
    alert_id: AlertId,
    incident_id: IncidentId,
    run_id: Option<RunId>,
    run_ids: Vec<RunId>,
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
            shards: Arc::new((0..SHARDS).map(|_| Mutex::default()).collect()),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The whole answer. The work goes on in a task of its own: a sender that hangs up does not cut it in two.
    pub(super) async fn receive(self, source: Source, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(Ok(turn)) = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await else {
            return Refusal::Later("too many webhooks at once".to_owned()).into_response();
        };
        // Read whoever sends it: an answer before the body's end may reach its sender as a reset.
        let bytes = body::read(&parts.headers, body).await;
        if let Err(refusal) = self.authorized(&parts.headers) {
            return refusal.into_response();
        }
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return no_body(error).into_response(),
        };
        let content_type = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let task = tokio::spawn(async move {
            let _turn = turn;
            self.take(source, content_type, bytes).await
        });
        match task.await {
            Ok(Ok(accepted)) => (StatusCode::ACCEPTED, axum::Json(accepted)).into_response(),
            Ok(Err(refusal)) => refusal.into_response(),
            Err(error) => {
                tracing::error!(%error, "a webhook's task ended badly");
                Refusal::Later("internal error, the alert was not taken".to_owned()).into_response()
            }
        }
    }

    fn authorized(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        // A page that somebody has open must not post alerts to a server on the same machine. No monitoring system
        // sends these two (Fetch standard; W3C Fetch Metadata).
        let from_a_page = headers.contains_key(header::ORIGIN)
            || headers.get("sec-fetch-site").is_some_and(|site| site != "none");
        if from_a_page {
            return Err(Refusal::Never {
                status: StatusCode::FORBIDDEN,
                error: "forbidden".to_owned(),
                reason: "alerts are not taken from web pages: the request has Origin or Sec-Fetch-Site"
                    .to_owned(),
            });
        }
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
        let evidence = |alert: AlertId, at: Timestamp| Evidence {
            alert,
            source: source.as_str().to_owned(),
            received_at: at,
            content_type: content_type.clone().unwrap_or_default(),
            body: bytes.clone(),
        };
        let mut hasher = DefaultHasher::new();
        read.delivery.key.hash(&mut hasher);
        let shard = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0);
        let mut shard = self.shards[shard].lock().await;
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.once(&mut shard, &read, &evidence).await {
                Ok(accepted) => return Ok(accepted),
                Err(StoreError::Conflict { .. }) => last = "another writer was first".to_owned(),
                Err(error) => {
                    tracing::error!(%error, "an alert was not taken");
                    return Err(Refusal::Later("the store cannot write now".to_owned()));
                }
            }
        }
        Err(Refusal::Later(last))
    }

    async fn once(
        &self,
        shard: &mut Shard,
        read: &Normalised,
        evidence: &(dyn Fn(AlertId, Timestamp) -> Evidence + Send + Sync),
    ) -> Result<Accepted, StoreError> {
        let key = &read.delivery.key;
        let now = self.core.clock.now();
        let mut grouped = group(shard.incident_of(&self.core, key).await?, read, now)?;
        if grouped.events.is_empty() {
            return Ok(accepted(&grouped.after, grouped.alert));
        }
        let mut prepared = Vec::new();
        if incident::wants_runs(&grouped.events) {
            for first in self.runs_for(read, &grouped.after.id).await? {
                grouped.run_started(first.run.clone(), first.plan.name.clone(), now)?;
                prepared.push(self.core.runs.prepare(first));
            }
        }
        let mut append = Append::default();
        append.streams.push(grouped.append()?);
        if grouped.first {
            append.evidence.push(evidence(grouped.alert.clone(), now));
        }
        // Whatever becomes of it, what is kept is not sure until it is stored.
        shard.forget(key);
        self.core.runs.commit(prepared, append).await?;
        let accepted = accepted(&grouped.after, grouped.alert.clone());
        shard.keep(key, grouped.stored());
        Ok(accepted)
    }

    /// The workflows that are bound to this alert, ready to run.
    async fn runs_for(
        &self,
        read: &Normalised,
        incident: &IncidentId,
    ) -> Result<Vec<RunStarted>, StoreError> {
        let alert = serde_json::to_value(&read.alert).map_err(damaged)?;
        let mut starts = Vec::new();
        for plan in workflows::bound_to(&self.core, &alert).await? {
            match plan.bind_inputs(&types::Object::new()) {
                Ok(inputs) => {
                    let trigger = Trigger {
                        alert: Some(alert.clone()),
                        incident: Some(incident.clone()),
                        by: format!("webhook:{}", read.alert.source),
                    };
                    let run = RunId::new(self.core.clock.now(), entropy());
                    starts.push(RunStarted::new(run, plan, inputs, trigger));
                }
                // The compiler refuses this for workflows that alerts start; an old definition might still be kept.
                Err(errors) => {
                    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                    tracing::error!(
                        workflow = plan.name,
                        ?errors,
                        "a bound workflow cannot start from an alert"
                    );
                }
            }
        }
        Ok(starts)
    }
}

fn accepted(state: &IncidentState, alert: AlertId) -> Accepted {
    let entry = state.alerts.iter().find(|entry| entry.id == alert);
    let run_ids: Vec<RunId> = entry
        .iter()
        .flat_map(|entry| entry.runs.iter().map(|run| run.run.clone()))
        .collect();
    Accepted {
        alert_id: alert,
        incident_id: state.id.clone(),
        run_id: run_ids.first().cloned(),
        run_ids,
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
