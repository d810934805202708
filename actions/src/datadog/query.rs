//! `datadog/query`: a metric query over a window, each series judged by the monitor's own bound.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Incident, Level, Object, Signature, Trust, Type};

use super::{client::Datadog, judge, metric_query::MetricQuery, series};
use crate::{
    Action, ActionContext, ActionError, ActionOutput, DatadogConnection,
    args::{self, gives, may_give, optional, output, read, signature},
};

/// Series that become findings.
const SERIES: usize = 50;
/// Minutes by default, and at most.
const MINUTES: i64 = 60;
const MINUTES_MAX: i64 = 24 * 60;

pub(crate) struct Query;

#[derive(Deserialize)]
struct Params {
    query: Option<String>,
    incident: Option<Incident>,
    minutes: i64,
}

#[async_trait]
impl Action for Query {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            timeout_ms: 60_000,
            ..signature(
                "datadog/query",
                "Queries metrics over a window and judges each series by the monitor's bound.",
                [
                    (
                        "query",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "A metric query; else the monitor's own.",
                        ),
                    ),
                    (
                        "incident",
                        optional(
                            Incident::ty(),
                            Trust::Untrusted,
                            None,
                            "Its monitor's query is asked only when a strict parser reads it.",
                        ),
                    ),
                    (
                        "minutes",
                        optional(
                            Type::Int,
                            Trust::Trusted,
                            Some(json!(MINUTES)),
                            "The window, up to now; at most a day.",
                        ),
                    ),
                ],
                [
                    (
                        "configured",
                        gives(
                            Type::Bool,
                            Trust::Trusted,
                            "Whether this agent holds Datadog's keys.",
                        ),
                    ),
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One a series, each with query, window and link.",
                        ),
                    ),
                    (
                        "note",
                        may_give(Type::String, Trust::Untrusted, "Why nothing was asked."),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params {
            query,
            incident,
            minutes,
        } = read(params)?;
        if !(1..=MINUTES_MAX).contains(&minutes) {
            return Err(ActionError::action(format!(
                "minutes: expected 1 to {MINUTES_MAX}"
            )));
        }
        let Some(connection) = &context.connections.datadog else {
            let note = "Datadog was not asked: this agent holds no DD_API_KEY and DD_APP_KEY";
            context.log.line(note).await;
            return Ok(nothing(false, note, Vec::new()));
        };
        let monitor = incident.as_ref().and_then(|incident| incident.monitor.as_ref());
        let parsed = match (&query, monitor.and_then(|monitor| monitor.query.as_deref())) {
            (Some(query), _) => {
                MetricQuery::parse(query).map_err(|why| ActionError::action(format!("query: {why}")))?
            }
            (None, Some(theirs)) => match MetricQuery::parse(theirs) {
                Ok(query) => query,
                // An outsider's text that we do not fully understand is not sent to anybody.
                Err(why) => {
                    let note = format!("the monitor's query was not asked: {why}");
                    return Ok(nothing(true, &note, vec![note.clone()]));
                }
            },
            (None, None) => {
                return Ok(nothing(
                    true,
                    "there is no query: the alert names none",
                    Vec::new(),
                ));
            }
        };
        let to_ms = context.clock.now().unix_ms();
        let from_ms = to_ms - minutes * 60_000;
        let text = parsed.to_string();
        let datadog = Datadog {
            context,
            connection,
            what: "query",
            scope: "timeseries_query",
        };
        let series = series::query(&datadog, &text, from_ms, to_ms).await?;
        let link = link(
            connection,
            monitor.and_then(|monitor| monitor.id.as_deref()),
            from_ms,
            to_ms,
        );
        let evidence = Evidence::Query {
            source: "datadog".to_owned(),
            query: text.clone(),
            from_ms,
            to_ms,
            link,
        };
        let make = |host: Option<String>, level: Level, summary: String| Finding {
            host,
            check: "datadog".to_owned(),
            level,
            summary,
            evidence: evidence.clone(),
        };
        let mut findings: Vec<Finding> = series
            .iter()
            .take(SERIES)
            .map(|series| {
                let (level, summary) = judge::judge(&parsed, series);
                let place = if series.scope.is_empty() || series.scope == "*" {
                    String::new()
                } else {
                    format!("{}: ", series.scope)
                };
                make(judge::host_of(&series.scope), level, format!("{place}{summary}"))
            })
            .collect();
        let mut degraded = Vec::new();
        if series.is_empty() {
            findings.push(make(
                None,
                Level::Unknown,
                format!("no series in the last {minutes} min"),
            ));
        }
        if series.len() > SERIES {
            degraded.push(format!(
                "Datadog gave {} series; the first {SERIES} were read",
                series.len()
            ));
        }
        Ok(output(
            [("configured", json!(true)), ("findings", args::json(&findings)?)],
            degraded,
        ))
    }
}

fn nothing(configured: bool, note: &str, degraded: Vec<String>) -> ActionOutput {
    output(
        [
            ("configured", json!(configured)),
            ("findings", json!([])),
            ("note", Value::from(note)),
        ],
        degraded,
    )
}

/// The monitor's page over the window; only for an id that is a number.
fn link(connection: &DatadogConnection, monitor: Option<&str>, from_ms: i64, to_ms: i64) -> Option<String> {
    let ui = connection.ui.as_ref()?;
    let id: u64 = monitor?.parse().ok()?;
    Some(format!(
        "{ui}/monitors/{id}?from_ts={from_ms}&to_ts={to_ms}&live=false"
    ))
}
