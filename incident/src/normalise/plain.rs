//! The generic shape, and the incident payload of older incident tools, which is the same with more.
//!
//! `{id?, title, severity?, description?, hosts?, tags?, links?, state?/status?, metrics?, monitor?, alerts?,
//! dashboard_url?, triggered_at?, source?, escalation_policy?}`; only `title` must be there.

use serde_json::{Map, Value};
use types::{AlertState, Monitor, Severity};

use super::{
    fields::{Draft, Fields, as_text, kind, present, scalar, title},
    severity,
};
use crate::{Refused, Source};

/// A host that stands behind the name of each of its metrics; a longer one, which is no host's name (RFC 1035, section
/// 2.3.4), would be there many times.
const PLACE_BYTES: usize = 255;

/// Whether it has what only the older payload has.
pub(super) fn is_original(object: &Map<String, Value>) -> bool {
    ["alerts", "dashboard_url", "triggered_at", "escalation_policy"]
        .iter()
        .any(|field| object.contains_key(*field))
}

pub(super) fn read(source: Source, object: &Fields<'_>) -> Result<Draft, Refused> {
    let mut draft = Draft::new(source, title(object)?);
    draft.set().id = scalar(object, "id")?.unwrap_or_default();
    draft.set().description = present(object, "description").map(as_text);
    read_severity(&mut draft, object);
    read_state(&mut draft, object)?;
    read_hosts(&mut draft, object)?;
    read_tags(&mut draft, object)?;
    read_links(&mut draft, object)?;
    read_metrics(&mut draft, object)?;
    read_monitor(&mut draft, object)?;
    let fired = match scalar(object, "triggered_at")? {
        Some(at) => Some(("triggered_at", at)),
        None => scalar(object, "fired_at")?.map(|at| ("fired_at", at)),
    };
    if let Some((field, at)) = &fired {
        draft.fired(field, Some(at));
    }
    if let Some(named) = scalar(object, "source")?.filter(|named| named != source.as_str()) {
        draft.note(format!("the payload names its source: {named}"));
    }
    if let Some(policy) = scalar(object, "escalation_policy")? {
        draft.note(format!("escalation policy: {policy}"));
    }
    Ok(draft)
}

fn read_severity(draft: &mut Draft, object: &Fields<'_>) {
    let Some(value) = present(object, "severity") else {
        draft.note("the source gave no severity");
        return;
    };
    let word = as_text(value);
    let severity = severity::from_word(&word);
    if severity.is_none() && !word.eq_ignore_ascii_case("unknown") {
        draft.note(format!("severity {word:?} is no word that we know"));
    }
    draft.set().severity = severity.unwrap_or(Severity::Unknown);
}

fn read_state(draft: &mut Draft, object: &Fields<'_>) -> Result<(), Refused> {
    let word = match scalar(object, "state")? {
        Some(word) => word,
        // Without a word an alert that was sent is one that fires.
        None => match scalar(object, "status")? {
            Some(word) => word,
            None => return Ok(()),
        },
    };
    let state = match word.trim().to_ascii_lowercase().as_str() {
        "firing" | "triggered" | "alert" | "alerting" | "open" | "active" | "problem" | "warn"
        | "warning" | "critical" => AlertState::Firing,
        "resolved" | "recovered" | "ok" | "closed" | "recovery" => AlertState::Resolved,
        "no_data" | "no data" | "nodata" => AlertState::NoData,
        _ => AlertState::Unknown,
    };
    if state == AlertState::Unknown {
        draft.note(format!(
            "state {word:?} is no word that we know: treated as firing"
        ));
    }
    draft.set().state = state;
    Ok(())
}

fn read_hosts(draft: &mut Draft, object: &Fields<'_>) -> Result<(), Refused> {
    if let Some(host) = scalar(object, "host")? {
        draft.host(&host);
    }
    for (i, value) in list(object, "hosts")?.iter().enumerate() {
        match value {
            Value::Object(entry) => match host_of(entry) {
                Some(host) => draft.host(&host),
                None => {
                    return Err(Refused::field(
                        &format!("hosts[{i}]"),
                        "text",
                        "an object without a name",
                    ));
                }
            },
            Value::Null => {}
            other => draft.host(&element(&format!("hosts[{i}]"), other)?),
        }
    }
    let alerts = list(object, "alerts")?;
    for (i, value) in alerts.iter().enumerate() {
        let Value::Object(entry) = value else {
            return Err(Refused::field(&format!("alerts[{i}]"), "an object", kind(value)));
        };
        let host = host_of(entry);
        if let Some(host) = &host {
            draft.host(host);
        }
        let place = host.filter(|host| host.len() <= PLACE_BYTES);
        let place = place.unwrap_or_else(|| i.to_string());
        for (name, value) in entry
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "host" | "hostname" | "name"))
        {
            draft.metric(format!("{name}@{place}"), as_text(value));
        }
    }
    Ok(())
}

fn host_of(entry: &Map<String, Value>) -> Option<String> {
    ["host", "hostname", "name"]
        .iter()
        .find_map(|field| match present(entry, field) {
            Some(Value::String(host)) => Some(host.clone()),
            _ => None,
        })
}

fn read_tags(draft: &mut Draft, object: &Fields<'_>) -> Result<(), Refused> {
    match present(object, "tags") {
        Some(Value::Object(map)) => {
            for (key, value) in map {
                draft.tag(&format!("{key}:{}", as_text(value)));
            }
        }
        Some(Value::String(text)) => text.split(',').for_each(|tag| draft.tag(tag)),
        _ => {
            for (i, value) in list(object, "tags")?.iter().enumerate() {
                draft.tag(&element(&format!("tags[{i}]"), value)?);
            }
        }
    }
    Ok(())
}

fn read_links(draft: &mut Draft, object: &Fields<'_>) -> Result<(), Refused> {
    for (i, value) in list(object, "links")?.iter().enumerate() {
        let field = format!("links[{i}]");
        match value {
            Value::String(url) => draft.link("link", url),
            Value::Object(entry) => {
                let url = ["url", "href"]
                    .iter()
                    .find_map(|name| entry.get(*name).and_then(Value::as_str));
                let url = url.ok_or_else(|| Refused::field(&format!("{field}.url"), "text", "nothing"))?;
                let title = ["title", "name", "text"]
                    .iter()
                    .find_map(|name| entry.get(*name).and_then(Value::as_str));
                draft.link(title.unwrap_or("link"), url);
            }
            other => {
                return Err(Refused::field(
                    &field,
                    "an object with title and url",
                    kind(other),
                ));
            }
        }
    }
    for (field, title) in [
        ("dashboard_url", "Dashboard"),
        ("url", "Source"),
        ("runbook_url", "Runbook"),
    ] {
        if let Some(url) = scalar(object, field)? {
            draft.link(title, &url);
        }
    }
    Ok(())
}

fn read_metrics(draft: &mut Draft, object: &Fields<'_>) -> Result<(), Refused> {
    match present(object, "metrics") {
        None => Ok(()),
        Some(Value::Object(metrics)) => {
            for (name, value) in metrics.iter().filter(|(_, value)| !value.is_null()) {
                draft.metric(name.clone(), as_text(value));
            }
            Ok(())
        }
        Some(other) => Err(Refused::field(
            "metrics",
            "an object of names and values",
            kind(other),
        )),
    }
}

fn read_monitor(draft: &mut Draft, object: &Fields<'_>) -> Result<(), Refused> {
    match present(object, "monitor") {
        None => {}
        Some(Value::Object(monitor)) => {
            let text = |names: [&str; 2]| names.iter().find_map(|name| present(monitor, name).map(as_text));
            draft.monitor(Monitor {
                id: text(["id", "monitor_id"]),
                name: text(["name", "title"]),
                query: text(["query", "expression"]),
                threshold: text(["threshold", "limit"]),
                value: text(["current_value", "value"]),
            });
        }
        Some(Value::String(name)) => draft.monitor(Monitor {
            name: Some(name.clone()),
            ..Monitor::default()
        }),
        Some(other) => return Err(Refused::field("monitor", "an object", kind(other))),
    }
    Ok(())
}

/// A list; a single text counts as a list of one.
fn list<'a>(object: &'a Fields<'_>, field: &str) -> Result<&'a [Value], Refused> {
    match present(object, field) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(one @ Value::String(_)) => Ok(std::slice::from_ref(one)),
        Some(other) => Err(Refused::field(field, "a list", kind(other))),
    }
}

fn element(field: &str, value: &Value) -> Result<String, Refused> {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => Err(Refused::field(field, "text", kind(value))),
        scalar => Ok(as_text(scalar)),
    }
}
