//! `datadog/monitor`: how a monitor and its groups stand now.
//! API: <https://docs.datadoghq.com/api/latest/monitors/#get-a-monitors-details>.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Incident, Level, Object, Signature, Trust, Type};

use super::{client::Datadog, judge};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, may_give, optional, output, read, scopes, signature},
    fitting::text,
    prometheus::series::rank,
};

/// Groups that are told.
const GROUPS: usize = 50;

pub(crate) struct Monitor;

#[derive(Deserialize)]
struct Params {
    monitor: Option<i64>,
    incident: Option<Incident>,
}

/// One group of a monitor.
struct Group {
    name: String,
    state: String,
    since_s: Option<i64>,
}

fn group_type() -> Type {
    Type::record(
        "monitor_group",
        [
            ("name", Type::String),
            ("state", Type::String),
            ("since_s?", Type::Int),
        ],
    )
}

#[async_trait]
impl Action for Monitor {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("datadog".to_owned()),
            scopes: scopes(&["monitors_read"]),
            timeout_ms: 60_000,
            ..signature(
                "datadog/monitor",
                "Reads how a monitor and its groups stand now.",
                [
                    (
                        "monitor",
                        optional(
                            Type::Int,
                            Trust::Trusted,
                            None,
                            "Its id; else the incident's own.",
                        ),
                    ),
                    (
                        "incident",
                        optional(
                            Incident::ty(),
                            Trust::Untrusted,
                            None,
                            "Its monitor is read, where it names one.",
                        ),
                    ),
                ],
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One for the monitor, then one a group, worst first.",
                        ),
                    ),
                    ("name", may_give(Type::String, Trust::Untrusted, "Its name.")),
                    (
                        "state",
                        may_give(
                            Type::String,
                            Trust::Untrusted,
                            "`OK`, `Alert`, `Warn`, `No Data`, `Ignored`, `Skipped` or `Unknown`.",
                        ),
                    ),
                    (
                        "groups",
                        gives(
                            Type::list(group_type()),
                            Trust::Untrusted,
                            "Its groups, at most 50, worst first.",
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
        let Params { monitor, incident } = read(params)?;
        // An outsider's word for a monitor is taken only when it is a number.
        let named = incident.and_then(|incident| incident.monitor?.id?.parse().ok());
        let Some(id) = monitor.or(named) else {
            return Ok(output(
                [
                    ("findings", json!([])),
                    ("groups", json!([])),
                    (
                        "note",
                        json!("there is no monitor: the alert names none by its number"),
                    ),
                ],
                Vec::new(),
            ));
        };
        if id < 1 {
            return Err(ActionError::action(
                "datadog/monitor: monitor: expected an id above 0",
            ));
        }
        let datadog = Datadog::of(context, "monitor", "monitors_read")?;
        let path = format!("/api/v1/monitor/{id}");
        let body = datadog.get(&path, &[("group_states", "all")]).await?.body;
        let now_ms = context.clock.now().unix_ms();
        answer(&datadog, id, now_ms, &body)
    }
}

fn answer(datadog: &Datadog<'_>, id: i64, now_ms: i64, body: &Value) -> Result<ActionOutput, ActionError> {
    let Some(state) = body.get("overall_state").and_then(Value::as_str) else {
        return Err(ActionError::action(format!(
            "Datadog: monitor {id}: the answer has no `overall_state`"
        )));
    };
    let name = text(body.get("name").and_then(Value::as_str).unwrap_or_default());
    let mut groups = groups(body);
    let total = groups.len();
    groups.truncate(GROUPS);
    let mut degraded = Vec::new();
    if total > GROUPS {
        degraded.push(format!(
            "the monitor has {total} groups; {GROUPS} of them, the worst first, are told"
        ));
    }
    let query = body.get("query").and_then(Value::as_str);
    let evidence = Evidence::Query {
        source: "datadog".to_owned(),
        query: text(query.unwrap_or_default()),
        from_ms: now_ms,
        to_ms: now_ms,
        link: datadog
            .connection
            .ui
            .as_ref()
            .map(|ui| format!("{ui}/monitors/{id}")),
    };
    let finding = |host, state: &str, what: String| Finding {
        host,
        check: "datadog monitor".to_owned(),
        level: level(state),
        summary: types::text::line(&what).into_owned(),
        evidence: evidence.clone(),
    };
    let mut findings = vec![finding(None, state, format!("monitor {id} ({name}) is {state}"))];
    findings.extend(groups.iter().map(|group| {
        let since = group.since_s.map(|since| {
            let ms = u64::try_from(now_ms - since * 1_000).unwrap_or_default();
            format!(" for {}", types::text::duration(ms))
        });
        let what = format!("{} is {}{}", group.name, group.state, since.unwrap_or_default());
        finding(judge::host_of(&group.name), &group.state, what)
    }));
    let groups: Vec<Value> = groups
        .into_iter()
        .map(|group| match group.since_s {
            Some(since) => json!({"name": group.name, "state": group.state, "since_s": since}),
            None => json!({"name": group.name, "state": group.state}),
        })
        .collect();
    Ok(output(
        [
            ("findings", args::json(&findings)?),
            ("name", json!(name)),
            ("state", json!(text(state))),
            ("groups", Value::from(groups)),
        ],
        degraded,
    ))
}

fn level(state: &str) -> Level {
    match state {
        "Alert" => Level::Critical,
        "Warn" => Level::Warning,
        "OK" => Level::Normal,
        // No data, muted, skipped, or a word that we do not know: nobody measured it.
        _ => Level::Unknown,
    }
}

/// `state.groups`: worst first, then by name.
fn groups(body: &Value) -> Vec<Group> {
    let map = body.pointer("/state/groups").and_then(Value::as_object);
    let group = |(key, value): (&String, &Value)| {
        let of = |key: &str| value.get(key).and_then(Value::as_str);
        let state = of("status").unwrap_or("Unknown").to_owned();
        let since = match level(&state) {
            Level::Critical | Level::Warning => "last_triggered_ts",
            Level::Normal => "last_resolved_ts",
            Level::Unknown => "last_nodata_ts",
        };
        Group {
            name: text(of("name").unwrap_or(key)),
            state: text(&state),
            since_s: value
                .get(since)
                .and_then(Value::as_i64)
                .filter(|since| *since > 0),
        }
    };
    let mut groups: Vec<Group> = map.into_iter().flatten().map(group).collect();
    groups.sort_by(|a, b| {
        let rank = |group: &Group| rank(level(&group.state));
        rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
    });
    groups
}
