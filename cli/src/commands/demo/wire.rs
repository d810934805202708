//! The demo's HTTP: what Datadog would post, and what the emulator shows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use incident::Source;
use node::egress::{self, Egress};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::exit::Fault;

/// An answer of the emulator or the server: its state with all messages.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
const HEALTHY: Duration = Duration::from_secs(20);

/// What the webhook answered.
pub(super) struct Posted {
    pub(super) alert_id: String,
    pub(super) run_id: String,
    /// Milliseconds until the answer.
    pub(super) answered_ms: u128,
    /// When the request was sent, Unix milliseconds.
    pub(super) sent_at_ms: i64,
}

#[derive(Deserialize)]
struct Accepted {
    alert_id: String,
    run_id: Option<String>,
}

fn client(url: &str) -> Result<reqwest::Client, Fault> {
    Egress::to(url)
        .client()
        .map_err(|error| Fault::failed(error.to_string()))
}

async fn body(response: reqwest::Response) -> Result<Vec<u8>, Fault> {
    egress::read(response, ANSWER_BYTES)
        .await
        .map_err(|error| Fault::failed(error.to_string()))
}

pub(super) async fn get_json(url: &str) -> Result<Value, Fault> {
    let failed = |why: String| Fault::failed(format!("GET {url}: {why}"));
    let response = client(url)?
        .get(url)
        .send()
        .await
        .map_err(|error| failed(egress::chain(&error)))?;
    if !response.status().is_success() {
        return Err(failed(response.status().to_string()));
    }
    serde_json::from_slice(&body(response).await?).map_err(|error| failed(error.to_string()))
}

/// Waits until `GET /healthz` answers 200.
pub(super) async fn wait_healthy(server: &str) -> Result<(), Fault> {
    let url = format!("{server}/healthz");
    let client = client(&url)?;
    let until = Instant::now() + HEALTHY;
    loop {
        let last = match client.get(&url).send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => response.status().to_string(),
            Err(error) => egress::chain(&error),
        };
        if Instant::now() >= until {
            return Err(Fault::failed(format!(
                "GET {url} was not well within {HEALTHY:?}: {last}"
            )));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Posts the alert as Datadog would.
pub(super) async fn post_alert(server: &str, payload: Vec<u8>) -> Result<Posted, Fault> {
    let url = format!("{server}{}", Source::Datadog.path());
    let failed = |why: String| Fault::failed(format!("POST {url}: {why}"));
    let client = client(&url)?;
    let sent_at_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let begun = Instant::now();
    let request = client
        .post(&url)
        .header("content-type", "application/json")
        .body(payload);
    let response = request
        .send()
        .await
        .map_err(|error| failed(egress::chain(&error)))?;
    let answered_ms = begun.elapsed().as_millis();
    let status = response.status();
    let bytes = body(response).await?;
    if status.as_u16() != 202 {
        let said = String::from_utf8_lossy(&bytes);
        return Err(failed(format!(
            "{status}: {}",
            said.chars().take(500).collect::<String>()
        )));
    }
    let accepted: Accepted = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    let run_id = accepted
        .run_id
        .ok_or_else(|| failed("the alert started no run".to_owned()))?;
    let sent_at_ms = i64::try_from(sent_at_ms).unwrap_or(i64::MAX);
    Ok(Posted {
        alert_id: accepted.alert_id,
        run_id,
        answered_ms,
        sent_at_ms,
    })
}
