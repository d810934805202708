//! `datadog/logs`: log events of a window, newest first.
//! API: <https://docs.datadoghq.com/api/latest/logs/#search-logs-post>.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Level, Object, Param, Signature, Trust, Type};

use super::{client::Datadog, search};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, scopes, signature},
    fitting::{fitting, text},
};

/// Events by default, and at most.
const LIMIT: i64 = 50;
const LIMIT_MAX: i64 = 1_000;
/// Minutes by default, and at most.
const MINUTES: i64 = 15;
const MINUTES_MAX: i64 = 24 * 60;

pub(crate) struct Logs;

#[derive(Deserialize)]
struct Params {
    query: String,
    tags: BTreeMap<String, String>,
    minutes: i64,
    limit: i64,
    above: Option<i64>,
    warn_above: Option<i64>,
}

fn log_type() -> Type {
    Type::record(
        "log_event",
        [
            ("at", Type::String),
            ("message", Type::String),
            ("host?", Type::String),
            ("service?", Type::String),
            ("status?", Type::String),
        ],
    )
}

/// Parameters that searches have in common.
pub(super) fn common(minutes: i64, limit: i64) -> [(&'static str, Param); 4] {
    let int = |default: i64, doc: &str| optional(Type::Int, Trust::Trusted, Some(json!(default)), doc);
    [
        (
            "query",
            optional(
                Type::String,
                Trust::Trusted,
                Some(json!("")),
                "In Datadog's search syntax: `service:checkout status:error`.",
            ),
        ),
        (
            "tags",
            optional(
                Type::Map(Box::new(Type::String)),
                Trust::Untrusted,
                Some(json!({})),
                "Tags or `@attributes` with values that must be there too; quoted and escaped.",
            ),
        ),
        ("minutes", int(minutes, "The window, up to now; at most a day.")),
        ("limit", int(limit, "The newest that are read; at most 1000.")),
    ]
}

/// Whether window and limit are within theirs.
pub(super) fn within(name: &str, minutes: i64, limit: i64) -> Result<usize, ActionError> {
    let wrong = |what: &str, most: i64| ActionError::action(format!("{name}: {what}: expected 1 to {most}"));
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(wrong("minutes", MINUTES_MAX));
    }
    let limit = usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=1_000).contains(limit));
    limit.ok_or_else(|| wrong("limit", LIMIT_MAX))
}

#[async_trait]
impl Action for Logs {
    fn signature(&self) -> Signature {
        let bound = |doc: &str| optional(Type::Int, Trust::Trusted, None, doc);
        let mut signature = Signature {
            effect: Effect::Reads,
            connection: Some("datadog".to_owned()),
            scopes: scopes(&["logs_read_data"]),
            timeout_ms: 60_000,
            ..signature(
                "datadog/logs",
                "Searches Datadog's logs over a window.",
                common(MINUTES, LIMIT),
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One: how many there are, with query, window and link.",
                        ),
                    ),
                    (
                        "events",
                        gives(Type::list(log_type()), Trust::Untrusted, "The newest first."),
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
        };
        signature.params.extend([
            ("above".to_owned(), bound("More events than that are critical.")),
            (
                "warn_above".to_owned(),
                bound("More events than that are a warning."),
            ),
        ]);
        signature
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let limit = within("datadog/logs", params.minutes, params.limit)?;
        let wrong = |why| ActionError::action(format!("datadog/logs: {why}"));
        let query = search::query(&params.query, &params.tags).map_err(wrong)?;
        let datadog = Datadog::of(context, "logs", "logs_read_data")?;
        let to_ms = context.clock.now().unix_ms();
        let from_ms = to_ms - params.minutes * 60_000;
        let filter = json!({"query": query, "from": from_ms.to_string(), "to": to_ms.to_string()});
        let found = search::search(&datadog, "/api/v2/logs/events/search", &filter, limit).await?;
        let mut degraded = found.degraded;
        let count = found.items.len();
        let (level, why) = judged(&params, count, found.more);
        let least = if found.more { "at least " } else { "" };
        let finding = Finding {
            host: None,
            check: "datadog logs".to_owned(),
            level,
            summary: format!("{least}{count} log events in {} min{why}", params.minutes),
            evidence: Evidence::Query {
                source: "datadog".to_owned(),
                link: link(&datadog, &query, from_ms, to_ms),
                query,
                from_ms,
                to_ms,
            },
        };
        let events: Vec<Value> = found.items.iter().map(event).collect();
        let (events, left) = fitting(events);
        if left > 0 {
            degraded.push(format!(
                "{left} older events of {count} are left out: they take too much room"
            ));
        }
        Ok(output(
            [
                ("findings", args::json(&[finding])?),
                ("events", Value::from(events)),
                ("count", json!(count)),
                ("limited", json!(found.more)),
            ],
            degraded,
        ))
    }
}

fn judged(params: &Params, count: usize, more: bool) -> (Level, String) {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    for (level, bound) in [
        (Level::Critical, params.above),
        (Level::Warning, params.warn_above),
    ] {
        if let Some(bound) = bound.filter(|bound| count > *bound) {
            return (level, format!(", which is more than {bound}"));
        }
    }
    match (params.above.or(params.warn_above), more) {
        (None, _) => (Level::Unknown, "; no bound was given to judge it by".to_owned()),
        (Some(_), true) => (
            Level::Unknown,
            "; there are more, so its bounds say nothing".to_owned(),
        ),
        (Some(_), false) => (Level::Normal, ", which is within its bounds".to_owned()),
    }
}

fn event(item: &Value) -> Value {
    let of = |key: &str| {
        item.pointer(&format!("/attributes/{key}"))
            .and_then(Value::as_str)
            .map(text)
    };
    let mut event =
        json!({"at": of("timestamp").unwrap_or_default(), "message": of("message").unwrap_or_default()});
    for key in ["host", "service", "status"] {
        if let Some(value) = of(key) {
            event[key] = json!(value);
        }
    }
    event
}

/// The same search in the logs' page.
fn link(datadog: &Datadog<'_>, query: &str, from_ms: i64, to_ms: i64) -> Option<String> {
    let ui = datadog.connection.ui.as_ref()?;
    let (from, to) = (from_ms.to_string(), to_ms.to_string());
    let pairs = [
        ("query", query),
        ("from_ts", &from),
        ("to_ts", &to),
        ("live", "false"),
    ];
    reqwest::Url::parse_with_params(&format!("{ui}/logs"), pairs)
        .ok()
        .map(Into::into)
}
