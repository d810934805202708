//! `prometheus/query`: a query now or over a window, each series judged by the author's bounds.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use types::{Effect, Evidence, Finding, Level, Object, Param, Signature, Trust, Type};

use super::{
    client::{self, Found},
    series::{self, Bounds, Data, Series},
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, may_give, optional, output, read, required, signature},
    fitting,
    upstream::Upstream,
    values,
};

/// Series that become findings and outputs.
const SERIES: usize = 50;
/// Bytes of all series that are given on.
const SERIES_BYTES: usize = 128 * 1024;
/// Points of a series that are given on, and those that a window is asked for.
const POINTS: usize = 20;
const STEPS: i64 = 250;
/// Minutes of a window, at most: a week.
const MINUTES_MAX: i64 = 7 * 24 * 60;
/// Seconds between two points, at least.
const STEP_MIN: i64 = 15;

pub(crate) struct Query;

#[derive(Deserialize)]
struct Params {
    query: String,
    values: BTreeMap<String, String>,
    minutes: i64,
    step_seconds: Option<i64>,
    over: String,
    above: Option<f64>,
    below: Option<f64>,
    warn_above: Option<f64>,
    warn_below: Option<f64>,
    empty: String,
    check: String,
}

fn params() -> [(&'static str, Param); 11] {
    let text = |default: &str, doc: &str| optional(Type::String, Trust::Trusted, Some(json!(default)), doc);
    let bound = |doc: &str| optional(Type::Float, Trust::Trusted, None, doc);
    [
        (
            "query",
            required(
                Type::String,
                Trust::Trusted,
                "PromQL. `{app=\"$app\"}` takes `app` of `values`.",
            ),
        ),
        (
            "values",
            optional(
                Type::Map(Box::new(Type::String)),
                Trust::Untrusted,
                Some(json!({})),
                "By name, escaped into quoted texts behind `=`, `!=`, `=~` and `!~`.",
            ),
        ),
        (
            "minutes",
            optional(
                Type::Int,
                Trust::Trusted,
                Some(json!(0)),
                "The window, up to now; 0 asks for now only. At most a week.",
            ),
        ),
        (
            "step_seconds",
            optional(
                Type::Int,
                Trust::Trusted,
                None,
                "Between two points of the window; else a 250th of it, at least 15.",
            ),
        ),
        (
            "over",
            text(
                "last",
                "Which value of the window is judged: `last`, `max`, `min` or `avg`.",
            ),
        ),
        ("above", bound("A value above it is critical.")),
        ("below", bound("A value below it is critical.")),
        ("warn_above", bound("A value above it is a warning.")),
        ("warn_below", bound("A value below it is a warning.")),
        (
            "empty",
            text(
                "unknown",
                "What no series means: `unknown`, or `normal` for a query that filters.",
            ),
        ),
        ("check", text("prometheus", "What the findings are called.")),
    ]
}

#[async_trait]
impl Action for Query {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("prometheus".to_owned()),
            timeout_ms: 60_000,
            ..signature(
                "prometheus/query",
                "Asks Prometheus, now or over a window, and judges each series by bounds.",
                params(),
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One a series, worst first, each with query, window and link.",
                        ),
                    ),
                    (
                        "series",
                        gives(
                            Type::Json,
                            Trust::Untrusted,
                            "`{labels, points: [[ms, \"value\"]]}` each; the last 20 points.",
                        ),
                    ),
                    (
                        "count",
                        gives(Type::Int, Trust::Trusted, "Series that came back."),
                    ),
                    (
                        "value",
                        may_give(
                            Type::Float,
                            Trust::Trusted,
                            "The judged value, where it is one series and a finite number.",
                        ),
                    ),
                    (
                        "text",
                        may_give(
                            Type::String,
                            Trust::Untrusted,
                            "The text, where the query gives one.",
                        ),
                    ),
                    (
                        "notes",
                        gives(
                            Type::list(Type::String),
                            Trust::Untrusted,
                            "What Prometheus remarks on the query.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        check(&params)?;
        let upstream = context.connections.prometheus.as_ref().ok_or_else(|| {
            ActionError::new(
                types::FailureKind::Refused,
                "this agent holds no Prometheus: set PROMETHEUS_URL for it",
            )
        })?;
        let wrong = |why| ActionError::action(format!("prometheus/query: query: {why}"));
        let query = values::fill(&params.query, &params.values).map_err(wrong)?;
        let to_ms = context.clock.now().unix_ms();
        let asked = Asked {
            from_ms: to_ms - params.minutes * 60_000,
            to_ms,
            query,
        };
        let form = asked.form(context, &params);
        let path = if params.minutes == 0 {
            "/api/v1/query"
        } else {
            "/api/v1/query_range"
        };
        let found = client::query(context, upstream, path, &form).await?;
        answer(&params, &asked, upstream, found)
    }
}

fn check(params: &Params) -> Result<(), ActionError> {
    let wrong = |text: String| Err(ActionError::action(format!("prometheus/query: {text}")));
    if !(0..=MINUTES_MAX).contains(&params.minutes) {
        return wrong(format!("minutes: expected 0 to {MINUTES_MAX}"));
    }
    if params
        .step_seconds
        .is_some_and(|step| !(1..=86_400).contains(&step))
    {
        return wrong("step_seconds: expected 1 to 86400".to_owned());
    }
    for (name, given, known) in [
        ("over", &params.over, &["last", "max", "min", "avg"][..]),
        ("empty", &params.empty, &["unknown", "normal"]),
    ] {
        if !known.contains(&given.as_str()) {
            return wrong(format!("{name}: expected one of {}", known.join(", ")));
        }
    }
    Ok(())
}

/// The query and its window, in Unix milliseconds.
struct Asked {
    query: String,
    from_ms: i64,
    to_ms: i64,
}

impl Asked {
    fn form(&self, context: &ActionContext, params: &Params) -> Vec<(&'static str, String)> {
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000));
        // The server gives up when we do.
        let timeout = context.remaining().as_secs().clamp(1, 30);
        let mut form = vec![("query", self.query.clone()), ("timeout", format!("{timeout}s"))];
        if params.minutes == 0 {
            form.push(("time", seconds(self.to_ms)));
        } else {
            let step = params
                .step_seconds
                .unwrap_or((params.minutes * 60 / STEPS).max(STEP_MIN));
            form.extend([
                ("start", seconds(self.from_ms)),
                ("end", seconds(self.to_ms)),
                ("step", step.to_string()),
            ]);
        }
        form
    }

    /// The same in Prometheus' own page.
    fn link(&self, upstream: &Upstream) -> Option<String> {
        let minutes = ((self.to_ms - self.from_ms) / 60_000).max(1);
        let end = jiff::Timestamp::from_second(self.to_ms / 1_000).ok()?;
        let end = end.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let pairs = [
            ("g0.expr", self.query.as_str()),
            ("g0.tab", if self.from_ms == self.to_ms { "1" } else { "0" }),
            ("g0.range_input", &format!("{minutes}m")),
            ("g0.end_input", &end),
        ];
        let url = reqwest::Url::parse_with_params(&format!("{}/graph", upstream.base), pairs);
        url.ok().map(Into::into)
    }

    fn finding(
        &self,
        upstream: &Upstream,
        check: &str,
        host: Option<String>,
        level: Level,
        summary: String,
    ) -> Finding {
        Finding {
            host,
            check: check.to_owned(),
            level,
            summary,
            evidence: Evidence::Query {
                source: "prometheus".to_owned(),
                query: self.query.clone(),
                from_ms: self.from_ms,
                to_ms: self.to_ms,
                link: self.link(upstream),
            },
        }
    }
}

fn answer(
    params: &Params,
    asked: &Asked,
    upstream: &Upstream,
    found: Found,
) -> Result<ActionOutput, ActionError> {
    let mut degraded: Vec<String> = found
        .warnings
        .iter()
        .map(|text| format!("Prometheus warns: {text}"))
        .collect();
    let (list, text) = match found.data {
        Data::Series(list) => (list, None),
        Data::Text(text) => (Vec::new(), Some(text)),
    };
    let finding = |host, level, summary| asked.finding(upstream, &params.check, host, level, summary);
    let told = |series: &Series| {
        let (level, summary) = judged(params, series);
        finding(series.host(), level, summary)
    };
    let mut ranked: Vec<(Finding, usize)> = list.iter().map(told).zip(0..).collect();
    ranked.sort_by_key(|(finding, _)| series::rank(finding.level));
    ranked.truncate(SERIES);
    let (mut findings, mut given): (Vec<Finding>, Vec<usize>) = ranked.into_iter().unzip();
    // The same ones, in the order in which Prometheus gave them.
    given.sort_unstable();
    if list.is_empty() && text.is_none() {
        let level = if params.empty == "normal" {
            Level::Normal
        } else {
            Level::Unknown
        };
        findings.push(finding(None, level, "no series".to_owned()));
    }
    if list.len() > SERIES {
        degraded.push(format!(
            "Prometheus gave {} series; {SERIES} of them, the worst first, are told",
            list.len()
        ));
    }
    let value = match list.as_slice() {
        [one] => series::over(&one.points, &params.over).filter(|value| value.is_finite()),
        _ => None,
    };
    let series = given.into_iter().map(|n| list[n].json(POINTS)).collect();
    let (series, left) = fitting::within(series, SERIES_BYTES);
    if left > 0 {
        degraded.push(format!(
            "{left} of the series are left out: their labels are too large together"
        ));
    }
    let findings = fitting::findings(&findings, &mut degraded)?;
    Ok(output(
        [
            ("findings", findings),
            ("series", json!(series)),
            ("count", json!(list.len())),
            ("value", json!(value)),
            ("text", json!(text)),
            ("notes", json!(found.infos)),
        ],
        degraded,
    ))
}

fn judged(params: &Params, series: &Series) -> (Level, String) {
    let bounds = Bounds {
        above: params.above,
        below: params.below,
        warn_above: params.warn_above,
        warn_below: params.warn_below,
    };
    let name = series.name();
    let place = if name.is_empty() {
        String::new()
    } else {
        format!("{name}: ")
    };
    match series::over(&series.points, &params.over) {
        None => (Level::Unknown, format!("{place}no point in the window")),
        Some(value) => {
            let (level, why) = bounds.judge(value);
            let which = if params.minutes == 0 {
                String::new()
            } else {
                format!("{} of {} min ", params.over, params.minutes)
            };
            (level, format!("{place}{which}{}{why}", series::number(value)))
        }
    }
}
