//! Datadog's webhook bodies. The body is whatever template the user put there: ours, or Datadog's default.
//!
//! Variables: <https://docs.datadoghq.com/integrations/webhooks/>. A variable that is unset arrives empty, or
//! as its own literal name.

use serde_json::{Map, Value};
use types::{AlertState, Monitor, Severity};

use super::{
    fields::{Draft, Fields, Lookup, as_text, present},
    severity,
};
use crate::{Refused, Source};

/// Ours: what deduplication (`cycle_key`), recovery (`transition`) and hosts need is in it.
pub(super) const TEMPLATE: &str = r#"{
  "id": "$ID",
  "alert_id": "$ALERT_ID",
  "cycle_key": "$ALERT_CYCLE_KEY",
  "aggreg_key": "$AGGREG_KEY",
  "transition": "$ALERT_TRANSITION",
  "alert_type": "$ALERT_TYPE",
  "alert_status": "$ALERT_STATUS",
  "priority": "$ALERT_PRIORITY",
  "title": "$ALERT_TITLE",
  "event_title": "$EVENT_TITLE",
  "text": "$TEXT_ONLY_MSG",
  "query": "$ALERT_QUERY",
  "metric": "$ALERT_METRIC",
  "scope": "$ALERT_SCOPE",
  "tags": "$TAGS",
  "service": "$TAGS[service]",
  "env": "$TAGS[env]",
  "team": "$TAGS[team]",
  "host": "$HOSTNAME",
  "link": "$LINK",
  "snapshot": "$SNAPSHOT",
  "date": "$DATE",
  "last_updated": "$LAST_UPDATED",
  "org_id": "$ORG_ID",
  "org_name": "$ORG_NAME",
  "event_type": "$EVENT_TYPE"
}
"#;

/// Names whose literal `$NAME` means that Datadog did not fill it in.
const VARIABLES: &[&str] = &[
    "AGGREG_KEY",
    "ALERT_CYCLE_KEY",
    "ALERT_ID",
    "ALERT_METRIC",
    "ALERT_PRIORITY",
    "ALERT_QUERY",
    "ALERT_SCOPE",
    "ALERT_STATUS",
    "ALERT_TITLE",
    "ALERT_TRANSITION",
    "ALERT_TYPE",
    "DATE",
    "DATE_POSIX",
    "EMAIL",
    "EVENT_MSG",
    "EVENT_TITLE",
    "EVENT_TYPE",
    "HOSTNAME",
    "ID",
    "LAST_UPDATED",
    "LAST_UPDATED_POSIX",
    "LINK",
    "LOGS_SAMPLE",
    "METRIC_NAMESPACE",
    "ORG_ID",
    "ORG_NAME",
    "PRIORITY",
    "SNAPSHOT",
    "TAGS",
    "TEXT_ONLY_MSG",
    "USER",
    "USERNAME",
];

/// Whether it has a field that only our template has.
pub(super) fn is_recommended(object: &Map<String, Value>) -> bool {
    ["cycle_key", "transition", "alert_id", "aggreg_key", "alert_type"]
        .iter()
        .any(|f| object.contains_key(*f))
}

/// Whether it is Datadog's default template.
pub(super) fn is_default(object: &Map<String, Value>) -> bool {
    object.contains_key("event_type")
        && (object.contains_key("body") || object.get("org").is_some_and(Value::is_object))
}

fn is_unset(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(|name| {
        VARIABLES.contains(&name) || (name.starts_with("TAGS[") && name.ends_with(']') && !name.contains(' '))
    })
}

fn text(object: &Fields<'_>, field: &str) -> Option<String> {
    let text = text_of(object, field);
    if text.is_none() && present(object, field).is_some() {
        object.is_unfilled(field);
    }
    text
}

fn text_of(object: &impl Lookup, field: &str) -> Option<String> {
    match present(object, field)? {
        Value::String(text) if is_unset(text.trim()) => None,
        Value::Array(items) => Some(items.iter().map(as_text).collect::<Vec<_>>().join(",")),
        value => Some(as_text(value)),
    }
}

fn title(object: &Fields<'_>, fields: &[&str]) -> Result<String, Refused> {
    fields
        .iter()
        .find_map(|field| text(object, field))
        .ok_or_else(|| {
            let found = match present(object, "title") {
                Some(Value::String(_)) => "a variable that Datadog did not fill in",
                _ => "nothing",
            };
            Refused::field("title", "text", found)
        })
}

/// Datadog's default template: `body, last_updated, event_type, title, date, org {id, name}, id`.
pub(super) fn default_template(object: &Fields<'_>) -> Result<Draft, Refused> {
    let mut draft = Draft::new(Source::Datadog, title(object, &["title"])?);
    let org = object
        .look("org")
        .and_then(Value::as_object)
        .and_then(|org| text_of(org, "id"));
    let id = text(object, "id");
    draft.set().description = text(object, "body");
    draft.set().dedupe_key = id
        .as_ref()
        .map(|id| format!("datadog:{}:event:{id}", org.as_deref().unwrap_or("-")));
    draft.set().id = id.unwrap_or_default();
    draft.set().state = AlertState::Unknown;
    draft.fired("date", text(object, "date").as_deref());
    draft.note(
        "Datadog's default webhook template: it has no cycle key, transition, severity, tags or hosts, so this alert \
         can be neither deduplicated nor resolved; use the template of `firehall sources datadog --template`",
    );
    Ok(draft)
}

/// Our template.
pub(super) fn recommended(object: &Fields<'_>) -> Result<Draft, Refused> {
    let mut draft = Draft::new(Source::Datadog, title(object, &["title", "event_title"])?);
    draft.set().id = text(object, "id").unwrap_or_default();
    draft.set().description = text(object, "text").or_else(|| text(object, "body"));
    if let Some(host) = text(object, "host") {
        draft.host(&host);
    }
    for tag in split(text(object, "tags")) {
        draft.tag(&tag);
    }
    let scope = split(text(object, "scope"))
        .filter(|entry| entry != "*")
        .collect::<Vec<_>>();
    for entry in &scope {
        if !draft.set().tags.contains(entry) {
            draft.tag(entry);
        }
    }
    for key in ["service", "env", "team"] {
        if let Some(value) = text(object, key)
            && !draft.set().tags.contains(&format!("{key}:{value}"))
        {
            draft.tag(&format!("{key}:{value}"));
        }
    }
    read_state_and_severity(&mut draft, object);
    draft.monitor(Monitor {
        id: text(object, "alert_id"),
        name: None,
        query: text(object, "query"),
        threshold: text(object, "threshold"),
        value: text(object, "value"),
    });
    for name in ["metric", "alert_status"] {
        if let Some(value) = text(object, name) {
            draft.metric(name.to_owned(), value);
        }
    }
    for (field, title) in [("link", "Datadog event"), ("snapshot", "Graph")] {
        if let Some(url) = text(object, field) {
            draft.link(title, &url);
        }
    }
    draft.fired("date", text(object, "date").as_deref());
    draft.set().dedupe_key = key(object, scope);
    if text(object, "cycle_key").is_none() {
        draft.note("no cycle key ($ALERT_CYCLE_KEY): episodes of this monitor cannot be told apart");
    }
    Ok(draft)
}

/// `datadog:{org}:{cycle key}`; else the monitor and its sorted scope; else the event.
fn key(object: &Fields<'_>, mut scope: Vec<String>) -> Option<String> {
    let org = text(object, "org_id").unwrap_or_else(|| "-".to_owned());
    if let Some(cycle) = text(object, "cycle_key") {
        return Some(format!("datadog:{org}:{cycle}"));
    }
    if let Some(monitor) = text(object, "alert_id") {
        scope.sort_unstable();
        return Some(format!("datadog:{org}:monitor:{monitor}:{}", scope.join(",")));
    }
    text(object, "id").map(|id| format!("datadog:{org}:event:{id}"))
}

fn split(list: Option<String>) -> impl Iterator<Item = String> {
    let entries = list.unwrap_or_default();
    let entries = entries
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries.map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn read_state_and_severity(draft: &mut Draft, object: &Fields<'_>) {
    let transition = text(object, "transition");
    let word = transition.as_deref().map(|word| word.trim().to_ascii_lowercase());
    let state = match word.as_deref() {
        Some("triggered" | "re-triggered" | "renotify" | "warn" | "re-warn") => AlertState::Firing,
        Some("no data" | "re-no data") => AlertState::NoData,
        Some("recovered") => AlertState::Resolved,
        _ => AlertState::Unknown,
    };
    match &transition {
        Some(raw) if state == AlertState::Unknown => {
            draft.note(format!(
                "transition {raw:?} is none that we know: treated as firing"
            ));
        }
        Some(raw) => draft.note(format!("transition: {raw}")),
        None => draft.note("no transition ($ALERT_TRANSITION): treated as firing"),
    }
    draft.set().state = state;
    let mut severity = declared_severity(draft, object);
    if matches!(word.as_deref(), Some("warn" | "re-warn")) && severity < Severity::Medium {
        draft.note(format!(
            "the monitor warns only: severity {severity} lowered by one"
        ));
        severity = severity::lower(severity);
    }
    draft.set().severity = severity;
}

fn declared_severity(draft: &mut Draft, object: &Fields<'_>) -> Severity {
    if let Some(priority) = text(object, "priority") {
        if let Some(severity) = severity::from_word(&priority) {
            return severity;
        }
        draft.note(format!("priority {priority:?} is none that we know"));
    }
    let tag = draft.set().tag_values("severity").find_map(severity::from_word);
    if let Some(severity) = tag {
        draft.note("severity taken from the tag severity:");
        return severity;
    }
    // $ALERT_TYPE is error, warning, info or success; success says nothing of how bad it was.
    let alert_type = text(object, "alert_type").unwrap_or_default();
    match severity::from_word(&alert_type) {
        Some(severity) => {
            draft.note(format!("severity taken from alert_type {alert_type:?}"));
            severity
        }
        None => {
            draft.note("the source gave no severity");
            Severity::Unknown
        }
    }
}
