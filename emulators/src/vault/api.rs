//! The calls and their answers.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State as Held},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::state::{Call, State};

type Answer = (StatusCode, Value);

fn errors(status: StatusCode, texts: &[&str]) -> Answer {
    (status, json!({ "errors": texts }))
}

fn denied() -> Answer {
    errors(StatusCode::FORBIDDEN, &["permission denied"])
}

/// What holds for every call: faults, the seal, the namespace. Keeps the call.
fn answer(state: &State, uri: &Uri, headers: &HeaderMap, work: impl FnOnce() -> Answer) -> Response {
    let (status, body) = match before(state, headers) {
        Some(answer) => answer,
        None => work(),
    };
    state.live().calls.push(Call {
        path: uri.path().to_owned(),
        status: status.as_u16(),
    });
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS
        && let Ok(seconds) = "1".parse()
    {
        response.headers_mut().insert("retry-after", seconds);
    }
    response
}

fn before(state: &State, headers: &HeaderMap) -> Option<Answer> {
    let mut live = state.live();
    if let Some((status, times)) = live.faults.take() {
        if times > 1 {
            live.faults = Some((status, times - 1));
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return Some(errors(status, &["made to fail"]));
    }
    if live.sealed {
        return Some(errors(StatusCode::SERVICE_UNAVAILABLE, &["Vault is sealed"]));
    }
    let namespace = headers
        .get("x-vault-namespace")
        .and_then(|value| value.to_str().ok());
    let is_known = namespace.map(|name| name.trim_matches('/')) == state.config.namespace.as_deref();
    (!is_known).then(denied)
}

fn token(headers: &HeaderMap) -> &str {
    headers
        .get("x-vault-token")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn auth(token: &str, life: Duration) -> Value {
    json!({
        "request_id": "0f9eaaf8-0000-0000-0000-000000000000",
        "lease_id": "", "renewable": false, "lease_duration": 0, "data": null, "wrap_info": null, "warnings": null,
        "auth": {
            "client_token": token, "accessor": "fake-accessor", "policies": ["default", "firehall"],
            "token_policies": ["default", "firehall"], "metadata": { "role_name": "firehall" },
            "lease_duration": life.as_secs(), "renewable": true, "entity_id": "", "token_type": "service",
            "orphan": true, "mfa_requirement": null, "num_uses": 0,
        },
    })
}

pub(super) async fn login(
    Held(state): Held<Arc<State>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&state, &uri, &headers, || {
        if ![Method::POST, Method::PUT].contains(&method) {
            return errors(StatusCode::METHOD_NOT_ALLOWED, &["unsupported operation"]);
        }
        let Ok(body) = serde_json::from_slice::<Value>(&body) else {
            return errors(StatusCode::BAD_REQUEST, &["error parsing JSON"]);
        };
        let is = |key: &str, value: &str| body.get(key).and_then(Value::as_str) == Some(value);
        let secret_id = state.live().secret_id.clone();
        if !is("role_id", &state.config.role_id) || !is("secret_id", &secret_id) {
            return errors(StatusCode::BAD_REQUEST, &["invalid role or secret ID"]);
        }
        let (token, life) = state.issue();
        (StatusCode::OK, auth(&token, life))
    })
}

pub(super) async fn renew(Held(state): Held<Arc<State>>, uri: Uri, headers: HeaderMap) -> Response {
    answer(&state, &uri, &headers, || {
        let token = token(&headers);
        match state.renew(token) {
            Some(life) => (StatusCode::OK, auth(token, life)),
            None => denied(),
        }
    })
}

pub(super) async fn read(
    Held(state): Held<Arc<State>>,
    Path(path): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    answer(&state, &uri, &headers, || {
        let live = || state.live();
        if !state.is_valid(token(&headers)) || live().denied.contains(&path) {
            return denied();
        }
        if method != Method::GET {
            return errors(StatusCode::METHOD_NOT_ALLOWED, &["unsupported operation"]);
        }
        let versions = live().secrets.get(&path).cloned().unwrap_or_default();
        let Some(latest) = versions.last() else {
            return errors(StatusCode::NOT_FOUND, &[]);
        };
        let gone = if latest.is_some() {
            ""
        } else {
            "2026-01-01T00:00:00.000000000Z"
        };
        let data = json!({
            "data": latest,
            "metadata": {
                "created_time": "2026-01-01T00:00:00.000000000Z", "custom_metadata": null, "deletion_time": gone,
                "destroyed": false, "version": versions.len(),
            },
        });
        let body = json!({
            "request_id": "0f9eaaf8-0000-0000-0000-000000000000", "lease_id": "", "renewable": false,
            "lease_duration": 0, "data": data, "wrap_info": null, "warnings": null, "auth": null, "mount_type": "kv",
        });
        let status = if latest.is_some() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        (status, body)
    })
}

/// Health answers in its own way, sealed or not.
pub(super) async fn health(Held(state): Held<Arc<State>>) -> Response {
    let sealed = state.live().sealed;
    let status = if sealed {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let body = json!({
        "initialized": true, "sealed": sealed, "standby": false, "performance_standby": false, "version": "1.21.0",
        "enterprise": false, "cluster_name": "vault-cluster-for-tests", "server_time_utc": 1_767_225_600,
    });
    (status, Json(body)).into_response()
}

pub(super) async fn no_handler(Held(state): Held<Arc<State>>, uri: Uri, headers: HeaderMap) -> Response {
    let said = format!("no handler for route {:?}. route entry not found.", uri.path());
    answer(&state, &uri, &headers, || errors(StatusCode::NOT_FOUND, &[&said]))
}
