//! `datadog/events`: events of a window, newest first: deployments, changes, alerts of others.
//! API: <https://docs.datadoghq.com/api/latest/events/#search-events>.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Level, Object, Signature, Trust, Type};

use super::{
    client::Datadog,
    logs::{common, within},
    search,
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, output, read, scopes, signature},
    fitting::{self, fitting, text},
};

/// Events and minutes by default.
const LIMIT: i64 = 50;
const MINUTES: i64 = 60;
/// Events that become findings.
const FINDINGS: usize = 20;

pub(crate) struct Events;

#[derive(Deserialize)]
struct Params {
    query: String,
    tags: BTreeMap<String, String>,
    minutes: i64,
    limit: i64,
}

fn event_type() -> Type {
    Type::record(
        "datadog_event",
        [
            ("at", Type::String),
            ("title", Type::String),
            ("message", Type::String),
            ("tags", Type::list(Type::String)),
            ("status?", Type::String),
            ("host?", Type::String),
            ("service?", Type::String),
        ],
    )
}

#[async_trait]
impl Action for Events {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("datadog".to_owned()),
            scopes: scopes(&["events_read"]),
            timeout_ms: 60_000,
            ..signature(
                "datadog/events",
                "Searches Datadog's events over a window: deployments, changes, alerts of others.",
                common(MINUTES, LIMIT),
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One an event, at most 20: critical, warning or normal as the event says itself.",
                        ),
                    ),
                    (
                        "events",
                        gives(Type::list(event_type()), Trust::Untrusted, "The newest first."),
                    ),
                    (
                        "count",
                        gives(Type::Int, Trust::Trusted, "Events that were read."),
                    ),
                    (
                        "limited",
                        gives(Type::Bool, Trust::Trusted, "Whether there are more."),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let limit = within("datadog/events", params.minutes, params.limit)?;
        let wrong = |why| ActionError::action(format!("datadog/events: {why}"));
        let query = search::query(&params.query, &params.tags).map_err(wrong)?;
        let datadog = Datadog::of(context, "events", "events_read")?;
        let to_ms = context.clock.now().unix_ms();
        let from_ms = to_ms - params.minutes * 60_000;
        let filter = json!({"query": query, "from": from_ms.to_string(), "to": to_ms.to_string()});
        let found = search::search(&datadog, "/api/v2/events/search", &filter, limit).await?;
        let mut degraded = found.degraded;
        let count = found.items.len();
        let events: Vec<Value> = found.items.iter().map(event).collect();
        let evidence = Evidence::Query {
            source: "datadog".to_owned(),
            link: link(&datadog, &query, from_ms, to_ms),
            query,
            from_ms,
            to_ms,
        };
        let findings: Vec<Finding> = events
            .iter()
            .take(FINDINGS)
            .map(|event| finding(event, &evidence))
            .collect();
        let (events, left) = fitting(events);
        if left > 0 {
            degraded.push(format!(
                "{left} older events of {count} are left out: they take too much room"
            ));
        }
        let findings = fitting::findings(&findings, &mut degraded)?;
        Ok(output(
            [
                ("findings", findings),
                ("events", Value::from(events)),
                ("count", json!(count)),
                ("limited", json!(found.more)),
            ],
            degraded,
        ))
    }
}

/// `data[].attributes` holds the message and tags, and another `attributes` with what sent it.
fn event(item: &Value) -> Value {
    let of = |path: &str| item.pointer(path).and_then(Value::as_str).map(text);
    let tags = item
        .pointer("/attributes/tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let tags: Vec<String> = tags.filter_map(Value::as_str).take(50).map(text).collect();
    let message = of("/attributes/message").unwrap_or_default();
    let title = of("/attributes/attributes/title")
        .unwrap_or_else(|| message.lines().next().unwrap_or_default().to_owned());
    let mut event = json!({
        "at": of("/attributes/timestamp").unwrap_or_default(), "title": title, "message": message, "tags": tags
    });
    for (key, path) in [
        ("status", "/attributes/attributes/status"),
        ("host", "/attributes/attributes/hostname"),
        ("service", "/attributes/attributes/service"),
    ] {
        if let Some(value) = of(path) {
            event[key] = json!(value);
        }
    }
    event
}

fn finding(event: &Value, evidence: &Evidence) -> Finding {
    let of = |key: &str| event.get(key).and_then(Value::as_str);
    let level = match of("status") {
        Some("failure" | "critical" | "error" | "emergency" | "alert") => Level::Critical,
        Some("warning" | "warn") => Level::Warning,
        Some("ok" | "info" | "success" | "recommendation" | "user_update" | "snapshot") => Level::Normal,
        // It says nothing of itself, or a word that we do not know.
        _ => Level::Unknown,
    };
    let title: String = types::text::line(of("title").unwrap_or_default())
        .chars()
        .take(300)
        .collect();
    Finding {
        host: of("host").map(str::to_owned),
        check: "datadog event".to_owned(),
        level,
        summary: format!("{}: {title}", of("at").unwrap_or_default()),
        evidence: evidence.clone(),
    }
}

/// The same search in the events' page.
fn link(datadog: &Datadog<'_>, query: &str, from_ms: i64, to_ms: i64) -> Option<String> {
    let ui = datadog.connection.ui.as_ref()?;
    let (from, to) = (from_ms.to_string(), to_ms.to_string());
    let pairs = [
        ("query", query),
        ("from_ts", &from),
        ("to_ts", &to),
        ("live", "false"),
    ];
    reqwest::Url::parse_with_params(&format!("{ui}/event/explorer"), pairs)
        .ok()
        .map(Into::into)
}
