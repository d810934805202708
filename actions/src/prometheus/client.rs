//! One query: a form in a POST, as the API recommends it for long ones, and the envelope around the answer.

use reqwest::StatusCode;
use serde_json::Value;
use types::FailureKind;

use super::series::{self, Data};
use crate::{
    ActionContext, ActionError,
    tries::{Failed, tries},
    upstream::Upstream,
    vendor::{self, Reply, said},
};

const TRIES: u32 = 4;

/// What came back.
pub(crate) struct Found {
    pub(crate) data: Data,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

pub(crate) async fn query(
    context: &ActionContext,
    upstream: &Upstream,
    path: &str,
    form: &[(&str, String)],
) -> Result<Found, ActionError> {
    let word = |found: &Found| match &found.data {
        Data::Series(list) => format!("{} series", list.len()),
        Data::Text(_) => "a text".to_owned(),
    };
    let once = || async {
        let request = upstream
            .http
            .post(format!("{}{path}", upstream.base))
            .headers(upstream.headers.clone())
            .form(form);
        found(context, &vendor::fetch("Prometheus", request).await?)
    };
    tries(context, "prometheus query", TRIES, word, once).await
}

fn found(context: &ActionContext, reply: &Reply) -> Result<Found, Failed> {
    let status = reply.status.as_u16();
    let body = reply.value();
    let text = |key: &str| body.as_ref().and_then(|body| body.get(key)?.as_str());
    // An error has its own word for what it is, whatever the status.
    if text("status") == Some("error") {
        return Err(refused(
            status,
            text("errorType").unwrap_or_default(),
            text("error").unwrap_or_default(),
        ));
    }
    if matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let why = format!(
            "Prometheus refused us (HTTP {status}){}: check PROMETHEUS_BEARER_TOKEN, or PROMETHEUS_USERNAME and \
             PROMETHEUS_PASSWORD, and PROMETHEUS_ORG_ID on the agent",
            said(&String::from_utf8_lossy(&reply.body))
        );
        return Err(Failed::Final(ActionError::action(why)));
    }
    let plain = said(&String::from_utf8_lossy(&reply.body));
    if let Some(trouble) = reply.trouble(context, &plain) {
        return Err(trouble);
    }
    if reply.status == StatusCode::NOT_FOUND {
        let why = "Prometheus: HTTP 404: nothing answers queries below PROMETHEUS_URL (Mimir wants `/prometheus` at its end)";
        return Err(Failed::Final(ActionError::action(why)));
    }
    let body = reply.json()?;
    let data = body.get("data").and_then(series::read);
    match data {
        Some(data) if reply.status.is_success() && text("status") == Some("success") => Ok(Found {
            data,
            warnings: texts(&body, "warnings"),
            infos: texts(&body, "infos"),
        }),
        _ => Err(Failed::Final(ActionError::action(format!(
            "Prometheus: HTTP {status} with an answer that has not the documented form"
        )))),
    }
}

fn texts(body: &Value, key: &str) -> Vec<String> {
    let list = body.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str)
        .map(|text| types::text::line(text).chars().take(300).collect())
        .collect()
}

/// `errorType` as the API documents it.
fn refused(status: u16, kind: &str, why: &str) -> Failed {
    let why = format!(
        "Prometheus refused the query ({}, HTTP {status}){}",
        named(kind),
        said(why)
    );
    match kind {
        "timeout" | "canceled" | "unavailable" | "internal" | "too_many_requests" => {
            Failed::Passing(ActionError::new(FailureKind::Transient, why), None)
        }
        _ => Failed::Final(ActionError::action(why)),
    }
}

fn named(kind: &str) -> String {
    let plain = |c: &char| c.is_ascii_lowercase() || *c == '_';
    let kind: String = kind.chars().take(40).filter(plain).collect();
    if kind.is_empty() {
        "no type".to_owned()
    } else {
        kind
    }
}
