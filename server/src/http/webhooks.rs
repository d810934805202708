//! An alert comes in: checked, normalised, grouped, and with its runs made durable in one transaction; then 202.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::{RunStarted, Trigger};
use incident::{Command, IncidentEvent, IncidentState, Normalised, RunRef, Source};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use types::{AlertId, IncidentId, RunId, Timestamp};

use super::body::{self, BodyError};
use crate::{
    Core,
    clock::entropy,
    runs::Prepared,
    store::{Append, Evidence, Head, IncidentHead, NewEvent, StoreError, StreamAppend, StreamId},
    workflows,
};

/// Alerts of one key are taken one after the other; of different keys together.
const SHARDS: usize = 64;
/// Tries when another writer was first.
const TRIES: usize = 8;
/// What a sender is told to wait when the store cannot write, seconds.
const RETRY_AFTER: &str = "5";

#[derive(Clone)]
pub(super) struct Ingest {
    core: Core,
    shards: Arc<Vec<Mutex<()>>>,
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
            shards: Arc::new((0..SHARDS).map(|_| Mutex::new(())).collect()),
        }
    }

    /// The whole answer. The work goes on in a task of its own: a sender that hangs up does not cut it in two.
    pub(super) async fn receive(self, source: Source, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        if let Err(refusal) = self.authorized(&parts.headers) {
            return refusal.into_response();
        }
        let bytes = match body::read(body).await {
            Ok(bytes) => bytes,
            Err(error) => return no_body(error).into_response(),
        };
        let content_type = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let task = tokio::spawn(async move { self.take(source, content_type, bytes).await });
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
        let Some(secret) = &self.core.config.webhook_secret else {
            return Ok(());
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        match given {
            Some(given) if bool::from(given.as_bytes().ct_eq(secret.expose().as_bytes())) => Ok(()),
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
        let _one_at_a_time = self.shards[shard].lock().await;
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.once(&read, &evidence).await {
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
        read: &Normalised,
        evidence: &(dyn Fn(AlertId, Timestamp) -> Evidence + Send + Sync),
    ) -> Result<Accepted, StoreError> {
        let now = self.core.clock.now();
        let state = self.incident_of(&read.delivery.key).await?;
        let state = state.filter(|state| state.takes(&read.delivery, now));
        let seq = state.as_ref().map_or(0, |known| known.seq);
        let known = state.map(|known| known.state);
        let alert_id = AlertId::new(now, entropy());
        let receive = Command::Receive {
            incident: IncidentId::new(now, entropy()),
            alert_id: alert_id.clone(),
            delivery: read.delivery.clone(),
            alert: read.alert.clone(),
        };
        let mut events = incident::decide(known.as_ref(), &receive, now).map_err(damaged)?;
        let repeated = known
            .as_ref()
            .and_then(|state| state.repeated_by(&read.delivery))
            .cloned();
        let mut after = evolved(known, &events)?;
        let mut prepared = Vec::new();
        if incident::wants_runs(&events) {
            prepared = self.runs_for(read, &after.id).await?;
            for run in &prepared {
                let run = RunRef {
                    run: run.run.id.clone(),
                    workflow: run.run.plan.name.clone(),
                };
                let started = Command::RunStarted {
                    alert_id: alert_id.clone(),
                    run,
                };
                let more = incident::decide(Some(&after), &started, now).map_err(damaged)?;
                after = evolved(Some(after), &more)?;
                events.extend(more);
            }
        }
        let accepted = accepted(&after, repeated.map_or(alert_id.clone(), |first| first.id));
        let append = Append {
            streams: vec![stream(&after, seq, &events)?],
            evidence: if accepted.alert_id == alert_id {
                vec![evidence(alert_id, now)]
            } else {
                Vec::new()
            },
            claims: Vec::new(),
        };
        self.core.runs.commit(prepared, append).await?;
        Ok(accepted)
    }

    async fn incident_of(&self, key: &str) -> Result<Option<Known>, StoreError> {
        let Some((id, _)) = self.core.store.incident_by_key(key).await? else {
            return Ok(None);
        };
        load(&self.core, &id).await
    }

    /// The workflows that are bound to this alert, ready to run.
    async fn runs_for(&self, read: &Normalised, incident: &IncidentId) -> Result<Vec<Prepared>, StoreError> {
        let alert = serde_json::to_value(&read.alert).map_err(damaged)?;
        let mut prepared = Vec::new();
        for plan in workflows::bound_to(&self.core, &alert).await? {
            match plan.bind_inputs(&types::Object::new()) {
                Ok(inputs) => {
                    let trigger = Trigger {
                        alert: Some(alert.clone()),
                        incident: Some(incident.clone()),
                        by: format!("webhook:{}", read.alert.source),
                    };
                    let run = RunId::new(self.core.clock.now(), entropy());
                    prepared.push(self.core.runs.prepare(RunStarted {
                        run,
                        plan,
                        inputs,
                        trigger,
                    }));
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
        Ok(prepared)
    }
}

/// An incident and the seq of its last event.
pub(crate) struct Known {
    pub(crate) state: IncidentState,
    pub(crate) seq: u64,
    pub(crate) events: Vec<IncidentEvent>,
}

impl std::ops::Deref for Known {
    type Target = IncidentState;
    fn deref(&self) -> &IncidentState {
        &self.state
    }
}

/// Loads an incident from its history.
pub(crate) async fn load(core: &Core, id: &IncidentId) -> Result<Option<Known>, StoreError> {
    let stream = StreamId::Incident(id.clone());
    let mut events = Vec::new();
    let mut seq = 0;
    loop {
        let page = core.store.events(&stream, seq, 1_000).await?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        for stored in &page {
            let body = serde_json::from_str(&stored.body).map_err(damaged)?;
            let stored = incident::Stored {
                kind: stored.kind.clone(),
                version: stored.version,
                body,
            };
            events.push(IncidentEvent::load(&stored).map_err(damaged)?);
        }
    }
    let state = incident::fold(&events).map_err(damaged)?;
    Ok(state.map(|state| Known { state, seq, events }))
}

fn evolved(state: Option<IncidentState>, events: &[IncidentEvent]) -> Result<IncidentState, StoreError> {
    let mut state = state;
    for event in events {
        state = Some(match state {
            None => IncidentState::begin(event).map_err(damaged)?,
            Some(mut state) => {
                state.apply(event).map_err(damaged)?;
                state
            }
        });
    }
    state.ok_or_else(|| StoreError::Corrupt("an incident without events".to_owned()))
}

fn stream(
    state: &IncidentState,
    expected_seq: u64,
    events: &[IncidentEvent],
) -> Result<StreamAppend, StoreError> {
    let events = events
        .iter()
        .map(|event| {
            let stored = event.store().map_err(damaged)?;
            let body = stored.body.to_string();
            Ok(NewEvent {
                at: event.at,
                kind: stored.kind,
                version: stored.version,
                body,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let head = IncidentHead {
        dedupe_key: state.key.clone(),
        open: state.open,
        title: state.alert.title.clone(),
        severity: state.alert.severity.as_str().to_owned(),
        source: state.alert.source.clone(),
        opened_at: state.opened_at,
        resolved_at: state.recovered_at.filter(|_| !state.open),
        alerts: u32::try_from(state.alerts.len()).unwrap_or(u32::MAX),
        runs: state
            .alerts
            .iter()
            .flat_map(|alert| alert.runs.iter().map(|run| run.run.clone()))
            .collect(),
    };
    Ok(StreamAppend {
        stream: StreamId::Incident(state.id.clone()),
        expected_seq,
        events,
        head: Head::Incident(head),
    })
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

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
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
