//! `kubernetes/events`: what a cluster reported of a namespace's objects. Events live an hour by default: ask early.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Level, Object, Signature, Trust, Type};

use super::client::{self, Cluster};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, signature},
};

/// Findings of one answer.
const FINDINGS: usize = 50;
/// Characters of an event's message.
const MESSAGE: usize = 300;

pub(crate) struct Events;

#[derive(Deserialize)]
struct Params {
    namespace: String,
    kind: Option<String>,
    name: Option<String>,
    r#type: String,
    minutes: i64,
}

/// What was reported of one object for one reason.
struct Reported {
    kind: String,
    name: String,
    reason: String,
    message: String,
    warning: bool,
    count: i64,
    last_ms: i64,
}

#[async_trait]
impl Action for Events {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("kubernetes".to_owned()),
            timeout_ms: 60_000,
            ..signature(
                "kubernetes/events",
                "Reads a namespace's events and gives one finding for each object and reason, warnings first.",
                [
                    ("namespace", client::namespace_param()),
                    (
                        "kind",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "Only of objects of this kind: `Pod`.",
                        ),
                    ),
                    (
                        "name",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "Only of the object of this name.",
                        ),
                    ),
                    (
                        "type",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            Some(json!("Warning")),
                            "Warning, Normal, or all.",
                        ),
                    ),
                    (
                        "minutes",
                        optional(
                            Type::Int,
                            Trust::Trusted,
                            Some(json!(60)),
                            "How far back, 1 to 1,440; a cluster keeps events for an hour unless it was told otherwise.",
                        ),
                    ),
                ],
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "At most 50, the newest of the worst first.",
                        ),
                    ),
                    (
                        "total",
                        gives(
                            Type::Int,
                            Trust::Trusted,
                            "Events in the window, each counted once.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let namespace = client::namespace(&params.namespace)?;
        if !(1..=1_440).contains(&params.minutes) {
            return Err(ActionError::action("minutes is from 1 to 1440"));
        }
        let selector = selector(&params)?;
        let path = format!("/api/v1/namespaces/{namespace}/events");
        let listed = Cluster::of(context)?.list(&path, &selector).await?;
        let to_ms = context.clock.now().unix_ms();
        let from_ms = to_ms - params.minutes * 60_000;
        let evidence = Evidence::Query {
            source: "kubernetes".to_owned(),
            query: format!("{path}?fieldSelector={selector}"),
            from_ms,
            to_ms,
            link: None,
        };
        let within: Vec<Reported> = listed.items.iter().filter_map(Reported::read).collect();
        let within: Vec<Reported> = within.into_iter().filter(|one| one.last_ms >= from_ms).collect();
        let total = within.len();
        let mut degraded: Vec<String> = listed.lacking.into_iter().collect();
        let merged = merged(within);
        if merged.len() > FINDINGS {
            degraded.push(format!("{} of {} reasons are shown", FINDINGS, merged.len()));
        }
        let mut findings: Vec<Finding> = merged
            .iter()
            .take(FINDINGS)
            .map(|one| one.finding(&evidence, to_ms))
            .collect();
        if findings.is_empty() && degraded.is_empty() {
            findings.push(none(namespace, &params, &evidence));
        }
        Ok(output(
            [("findings", args::json(&findings)?), ("total", json!(total))],
            degraded,
        ))
    }
}

/// `involvedObject.kind=Pod,type=Warning`; each value is a plain word.
fn selector(params: &Params) -> Result<String, ActionError> {
    let mut parts = Vec::new();
    if let Some(kind) = &params.kind {
        if kind.is_empty() || kind.len() > 63 || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ActionError::action(
                "kind: expected a kind such as Pod or Deployment",
            ));
        }
        parts.push(format!("involvedObject.kind={kind}"));
    }
    if let Some(name) = &params.name {
        parts.push(format!("involvedObject.name={}", client::name(name)?));
    }
    match params.r#type.as_str() {
        "all" => {}
        kind @ ("Warning" | "Normal") => parts.push(format!("type={kind}")),
        _ => return Err(ActionError::action("type: expected Warning, Normal or all")),
    }
    Ok(parts.join(","))
}

/// That nothing was reported is a fact, too.
fn none(namespace: &str, params: &Params, evidence: &Evidence) -> Finding {
    let what = match params.r#type.as_str() {
        "all" => "events".to_owned(),
        kind => format!("{kind} events"),
    };
    let of = params
        .name
        .as_ref()
        .map(|name| format!(" of {name}"))
        .unwrap_or_default();
    Finding {
        host: None,
        check: "kubernetes events".to_owned(),
        level: Level::Normal,
        summary: format!("no {what}{of} in {namespace} in the last {} min", params.minutes),
        evidence: evidence.clone(),
    }
}

impl Reported {
    fn read(event: &Value) -> Option<Self> {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str);
        // Any of them may be null; the newest that is there counts.
        let times = [
            "/series/lastObservedTime",
            "/lastTimestamp",
            "/eventTime",
            "/firstTimestamp",
            "/metadata/creationTimestamp",
        ];
        let last_ms = times.iter().find_map(|path| millis(text(path)?))?;
        let number = |path: &str| event.pointer(path).and_then(Value::as_i64);
        let line = |text: &str| -> String {
            let flat = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            flat.take(MESSAGE).collect()
        };
        Some(Self {
            kind: text("/involvedObject/kind")?.to_owned(),
            name: text("/involvedObject/name")?.to_owned(),
            reason: text("/reason").unwrap_or_default().to_owned(),
            message: line(text("/message").unwrap_or_default()),
            warning: text("/type") == Some("Warning"),
            count: number("/series/count").or(number("/count")).unwrap_or(1).max(1),
            last_ms,
        })
    }

    fn finding(&self, evidence: &Evidence, now_ms: i64) -> Finding {
        let ago = (now_ms - self.last_ms).max(0) / 60_000;
        Finding {
            host: None,
            check: format!("{} {}", self.kind, self.name),
            level: if self.warning {
                Level::Warning
            } else {
                Level::Normal
            },
            summary: format!(
                "{}, {} times, last {ago} min ago: {}",
                self.reason, self.count, self.message
            ),
            evidence: evidence.clone(),
        }
    }
}

/// One entry for each object and reason; warnings first, then the newest.
fn merged(events: Vec<Reported>) -> Vec<Reported> {
    let mut found: BTreeMap<(String, String, String), Reported> = BTreeMap::new();
    for event in events {
        let key = (event.kind.clone(), event.name.clone(), event.reason.clone());
        match found.get_mut(&key) {
            Some(known) => {
                known.count += event.count;
                known.warning |= event.warning;
                if event.last_ms > known.last_ms {
                    known.last_ms = event.last_ms;
                    known.message = event.message;
                }
            }
            None => drop(found.insert(key, event)),
        }
    }
    let mut found: Vec<Reported> = found.into_values().collect();
    found.sort_by_key(|one| (!one.warning, std::cmp::Reverse(one.last_ms)));
    found
}

fn millis(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}
