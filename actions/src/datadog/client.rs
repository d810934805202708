//! `GET /api/v1/query`, read only.

use std::time::Duration;

use node::{
    backoff::{self, Backoff},
    egress,
};
use reqwest::{Response, StatusCode, header};
use serde_json::Value;
use types::FailureKind;

use super::judge::Series;
use crate::{ActionContext, ActionError, DatadogConnection};

const ANSWER_BYTES: usize = 4 * 1024 * 1024;
const TRIES: u32 = 4;
const RESERVE: Duration = Duration::from_millis(500);

enum Failed {
    Final(ActionError),
    /// May pass; after this wait, when Datadog named one.
    Passing(ActionError, Option<Duration>),
}

/// The series of a query in a window of Unix milliseconds.
pub(crate) async fn query(
    context: &ActionContext,
    connection: &DatadogConnection,
    query: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Series>, ActionError> {
    const PACE: Result<Backoff, backoff::InvalidBackoff> =
        Backoff::new(Duration::from_millis(200), Duration::from_secs(4));
    for attempt in 0.. {
        let begun = tokio::time::Instant::now();
        let result = once(connection, query, from_ms, to_ms).await;
        let word = match &result {
            Ok(series) => format!("{} series", series.len()),
            Err(Failed::Final(error) | Failed::Passing(error, _)) => error.message.clone(),
        };
        context
            .log
            .line(&format!(
                "datadog query: {word} in {} ms",
                begun.elapsed().as_millis()
            ))
            .await;
        let (error, wait) = match result {
            Ok(series) => return Ok(series),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Passing(error, wait)) => (error, wait),
        };
        let wait = wait.unwrap_or_else(|| {
            PACE.map_or(Duration::from_secs(1), |pace| {
                pace.wait(attempt, backoff::entropy())
            })
        });
        if attempt + 1 >= TRIES || wait + RESERVE >= context.remaining() {
            return Err(error);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = context.cancel.cancelled() => return Err(error),
        }
    }
    Err(ActionError::internal("datadog query: no try was made"))
}

async fn once(
    connection: &DatadogConnection,
    query: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Series>, Failed> {
    let transient = |what: String| {
        Failed::Passing(
            ActionError::new(FailureKind::Transient, format!("Datadog: {what}")),
            None,
        )
    };
    let key = |text: &str| {
        let mut value = header::HeaderValue::from_str(text)
            .map_err(|_| Failed::Final(ActionError::action("Datadog: a key cannot stand in a header")))?;
        value.set_sensitive(true);
        Ok(value)
    };
    // This endpoint counts in seconds.
    let (from, to) = ((from_ms / 1_000).to_string(), (to_ms / 1_000).to_string());
    let request = connection
        .http
        .get(format!("{}/api/v1/query", connection.base))
        .query(&[("from", from.as_str()), ("to", to.as_str()), ("query", query)])
        .header("DD-API-KEY", key(connection.api_key.expose())?)
        .header("DD-APPLICATION-KEY", key(connection.app_key.expose())?);
    let response = request
        .send()
        .await
        .map_err(|error| transient(egress::chain(&error)))?;
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let after = reset(&response);
        let mut error = ActionError::new(
            FailureKind::RateLimited,
            format!("Datadog limits us for {} s", after.as_secs()),
        );
        error.retry_after_ms = u64::try_from(after.as_millis()).ok();
        return Err(Failed::Passing(error, Some(after)));
    }
    if status.is_server_error() {
        return Err(transient(format!("HTTP {}", status.as_u16())));
    }
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let text = "Datadog refused the keys: check DD_API_KEY, DD_APP_KEY (scope timeseries_query) and DD_SITE on the agent";
        return Err(Failed::Final(ActionError::action(text)));
    }
    let body = egress::read(response, ANSWER_BYTES)
        .await
        .map_err(|error| transient(error.to_string()))?;
    let body: Value =
        serde_json::from_slice(&body).map_err(|_| transient("an answer that is no JSON".to_owned()))?;
    if !status.is_success() || body.get("status").and_then(Value::as_str) == Some("error") {
        let said = body
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or("no reason given");
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(Failed::Final(ActionError::action(format!(
            "Datadog refused the query (HTTP {}): {said}",
            status.as_u16()
        ))));
    }
    Ok(body
        .get("series")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(series)
        .collect())
}

fn series(value: &Value) -> Series {
    let point = |point: &Value| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "Unix milliseconds, written as a float"
        )]
        let at = point.get(0)?.as_f64()? as i64;
        Some((at, point.get(1)?.as_f64()?))
    };
    Series {
        scope: value
            .get("scope")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        points: value
            .get("pointlist")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(point)
            .collect(),
    }
}

/// `X-RateLimit-Reset`: seconds to the end of the period.
fn reset(response: &Response) -> Duration {
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())?
            .trim()
            .parse()
            .ok()
    };
    Duration::from_secs(
        header("x-ratelimit-reset")
            .or_else(|| header("retry-after"))
            .unwrap_or(1)
            .clamp(1, 3_600),
    )
}
