//! `loki/query`: lines of a window, or series of a metric query, counted and judged by the author's bounds.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Level, Object, Param, Signature, Trust, Type};

use super::client::{self, Found, Line};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, required, signature},
    fitting::{self, fitting, text},
    prometheus::series::{self, Bounds, Series},
    values,
};

/// Lines by default, and at most: Loki's own limit is 5,000.
const LINES: i64 = 100;
const LINES_MAX: i64 = 1_000;
/// Minutes by default, and at most: Loki's own limit of a query is 30 days.
const MINUTES: i64 = 60;
const MINUTES_MAX: i64 = 7 * 24 * 60;
/// Series that become findings.
const SERIES: usize = 50;
/// Points that a metric query's window is asked for, and seconds between two at least.
const STEPS: i64 = 250;
const STEP_MIN: i64 = 15;

pub(crate) struct Query;

#[derive(Deserialize)]
struct Params {
    query: String,
    values: BTreeMap<String, String>,
    minutes: i64,
    limit: i64,
    above: Option<f64>,
    warn_above: Option<f64>,
    check: String,
}

/// One line among the outputs.
fn line_type() -> Type {
    Type::record(
        "log_line",
        [
            ("at_ms", Type::Int),
            ("labels", Type::Map(Box::new(Type::String))),
            ("line", Type::String),
        ],
    )
}

fn params() -> [(&'static str, Param); 7] {
    let int = |default: i64, doc: &str| optional(Type::Int, Trust::Trusted, Some(json!(default)), doc);
    let bound = |doc: &str| optional(Type::Float, Trust::Trusted, None, doc);
    [
        (
            "query",
            required(
                Type::String,
                Trust::Trusted,
                "LogQL. `{app=\"$app\"} |= \"$text\"` takes `app` and `text` of `values`.",
            ),
        ),
        (
            "values",
            optional(
                Type::Map(Box::new(Type::String)),
                Trust::Untrusted,
                Some(json!({})),
                "By name, escaped into quoted texts behind `=`, `!=`, `=~`, `!~`, `|=` and `|~`.",
            ),
        ),
        ("minutes", int(MINUTES, "The window, up to now; at most a week.")),
        (
            "limit",
            int(LINES, "The newest lines that are read; at most 1000."),
        ),
        (
            "above",
            bound("More lines than that, or a last value above it, are critical."),
        ),
        (
            "warn_above",
            bound("More lines than that, or a last value above it, are a warning."),
        ),
        (
            "check",
            optional(
                Type::String,
                Trust::Trusted,
                Some(json!("loki")),
                "What the findings are called.",
            ),
        ),
    ]
}

#[async_trait]
impl Action for Query {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("loki".to_owned()),
            timeout_ms: 60_000,
            ..signature(
                "loki/query",
                "Reads lines of logs, or asks a metric query over them, and judges by bounds.",
                params(),
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One for the lines, or one a series; each with query and window.",
                        ),
                    ),
                    (
                        "lines",
                        gives(Type::list(line_type()), Trust::Untrusted, "The newest first."),
                    ),
                    (
                        "count",
                        gives(Type::Int, Trust::Trusted, "Lines or series that came back."),
                    ),
                    (
                        "limited",
                        gives(
                            Type::Bool,
                            Trust::Trusted,
                            "Whether `limit` was reached: there may be more lines.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        for (name, value, most) in [
            ("minutes", params.minutes, MINUTES_MAX),
            ("limit", params.limit, LINES_MAX),
        ] {
            if !(1..=most).contains(&value) {
                return Err(ActionError::action(format!(
                    "loki/query: {name}: expected 1 to {most}"
                )));
            }
        }
        let upstream = context.connections.loki.as_ref().ok_or_else(|| {
            ActionError::new(
                types::FailureKind::Refused,
                "this agent holds no Loki: set LOKI_ADDR for it",
            )
        })?;
        let wrong = |why| ActionError::action(format!("loki/query: query: {why}"));
        let query = values::fill(&params.query, &params.values).map_err(wrong)?;
        let to_ms = context.clock.now().unix_ms();
        let from_ms = to_ms - params.minutes * 60_000;
        let step = (params.minutes * 60 / STEPS).max(STEP_MIN);
        let asked = [
            ("query", query.clone()),
            ("start", format!("{from_ms}000000")),
            ("end", format!("{to_ms}000000")),
            ("limit", params.limit.to_string()),
            ("direction", "backward".to_owned()),
            ("step", format!("{step}s")),
        ];
        let (found, warnings) = client::query_range(context, upstream, &asked).await?;
        let degraded: Vec<String> = warnings
            .iter()
            .map(|text| format!("Loki warns: {text}"))
            .collect();
        let evidence = Evidence::Query {
            source: "loki".to_owned(),
            query,
            from_ms,
            to_ms,
            // Loki has no page of its own, and where Grafana is we are not told.
            link: None,
        };
        match found {
            Found::Lines(list) => lines(&params, list, &evidence, degraded),
            Found::Series(list) => metric(&params, &list, &evidence, degraded),
        }
    }
}

fn bounds(params: &Params) -> Bounds {
    Bounds {
        above: params.above,
        warn_above: params.warn_above,
        ..Bounds::default()
    }
}

fn lines(
    params: &Params,
    list: Vec<Line>,
    evidence: &Evidence,
    mut degraded: Vec<String>,
) -> Result<ActionOutput, ActionError> {
    let count = list.len();
    let limited = i64::try_from(count).is_ok_and(|count| count >= params.limit);
    #[expect(clippy::cast_precision_loss, reason = "at most 1,000 lines")]
    let (level, why) = bounds(params).judge(count as f64);
    // A count that the limit cut says nothing of what it would have been, unless it is beyond a bound already.
    let (level, why) = match level {
        Level::Normal if limited => (
            Level::Unknown,
            "; there may be more, so its bounds say nothing".to_owned(),
        ),
        level => (level, why),
    };
    let least = if limited { "at least " } else { "" };
    let newest = list.first().map(|line| {
        format!(
            "; the newest: {}",
            types::text::line(&text(&line.text))
                .chars()
                .take(200)
                .collect::<String>()
        )
    });
    let finding = Finding {
        host: None,
        check: params.check.clone(),
        level,
        summary: format!(
            "{least}{count} lines in {} min{why}{}",
            params.minutes,
            newest.unwrap_or_default()
        ),
        evidence: evidence.clone(),
    };
    let items = list
        .into_iter()
        .map(|line| json!({"at_ms": line.at_ns / 1_000_000, "labels": line.labels, "line": text(&line.text)}))
        .collect();
    let (items, left) = fitting(items);
    if left > 0 {
        degraded.push(format!(
            "{left} older lines of {count} are left out: they take too much room"
        ));
    }
    Ok(output(
        [
            ("findings", args::json(&[finding])?),
            ("lines", Value::from(items)),
            ("count", json!(count)),
            ("limited", json!(limited)),
        ],
        degraded,
    ))
}

fn metric(
    params: &Params,
    list: &[Series],
    evidence: &Evidence,
    mut degraded: Vec<String>,
) -> Result<ActionOutput, ActionError> {
    let make = |host, level, summary| Finding {
        host,
        check: params.check.clone(),
        level,
        summary,
        evidence: evidence.clone(),
    };
    let finding = |series: &Series| match series::over(&series.points, "last") {
        None => make(
            series.host(),
            Level::Unknown,
            format!("{}: no point in the window", series.name()),
        ),
        Some(value) => {
            let (level, why) = bounds(params).judge(value);
            let place = if series.labels.is_empty() {
                String::new()
            } else {
                format!("{}: ", series.name())
            };
            make(
                series.host(),
                level,
                format!("{place}{}{why}", series::number(value)),
            )
        }
    };
    let mut findings: Vec<Finding> = list.iter().map(finding).collect();
    if findings.is_empty() {
        findings.push(make(
            None,
            Level::Unknown,
            format!("no series in {} min", params.minutes),
        ));
    }
    findings.sort_by_key(|finding| series::rank(finding.level));
    if findings.len() > SERIES {
        degraded.push(format!(
            "Loki gave {} series; {SERIES} of them, the worst first, are told",
            findings.len()
        ));
        findings.truncate(SERIES);
    }
    let findings = fitting::findings(&findings, &mut degraded)?;
    Ok(output(
        [
            ("findings", findings),
            ("lines", json!([])),
            ("count", json!(list.len())),
            ("limited", json!(false)),
        ],
        degraded,
    ))
}
