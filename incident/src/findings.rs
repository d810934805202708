//! What containers measured → findings, each with where it can be seen.
//!
//! A check container declares the output `checks`: a JSON list of `{check, level, summary, value?, unit?}` with
//! `level` one of normal, warning, critical, unknown. Nothing else becomes a finding.

use serde_json::{Map, Value};
use types::{CheckItem, Evidence, Finding, Level, Object, RunId};

/// The most checks that are read of one item.
pub const CHECKS_PER_ITEM: usize = 100;
/// A finding's summary, characters.
const SUMMARY_CHARS: usize = 300;
/// A check's name or a host, characters.
const NAME_CHARS: usize = 120;

/// The findings of all items, in the items' order.
#[must_use]
pub fn from_items(run: &RunId, items: &[CheckItem]) -> Vec<Finding> {
    items.iter().flat_map(|item| from_item(run, item)).collect()
}

/// What could not be measured, one sentence an item: `memory of api-1: no agent took it in 3 s`. The step tells one host's
/// checks apart.
#[must_use]
pub fn not_measured(items: &[CheckItem]) -> Vec<String> {
    let measured = |item: &&CheckItem| !matches!(item.outcome.as_str(), "succeeded" | "degraded");
    let lacking = items.iter().filter(measured).map(|item| {
        let reason = item.reason.as_deref().unwrap_or(&item.outcome);
        format!("{}: {}", place(item), one_line(reason, SUMMARY_CHARS))
    });
    let silent = items
        .iter()
        .filter(|item| !measured(item))
        .filter(|item| checks_of(item).is_none())
        .map(|item| format!("{}: ended without the output checks", place(item)));
    lacking.chain(silent).collect()
}

fn place(item: &CheckItem) -> String {
    match host_of(item) {
        Some(host) => format!("{} of {host}", item.step),
        None => format!("{}[{}]", item.step, item.index),
    }
}

fn host_of(item: &CheckItem) -> Option<String> {
    item.value.as_str().map(|host| one_line(host, NAME_CHARS))
}

/// The declared list, also when it came as JSON in a text.
fn checks_of(item: &CheckItem) -> Option<Value> {
    match item.outputs.as_ref()?.get("checks")? {
        Value::Null => None,
        Value::String(text) => {
            Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
        }
        value => Some(value.clone()),
    }
}

fn from_item(run: &RunId, item: &CheckItem) -> Vec<Finding> {
    let (Some(agent), true) = (
        &item.agent,
        matches!(item.outcome.as_str(), "succeeded" | "degraded"),
    ) else {
        return Vec::new();
    };
    let make = |output: String, check: String, level: Level, summary: String| Finding {
        host: host_of(item),
        check,
        level,
        summary,
        evidence: Evidence::Step {
            run: run.clone(),
            step: item.step.clone(),
            index: Some(item.index),
            attempt: item.attempt,
            agent: agent.clone(),
            agent_name: item.agent_name.clone().unwrap_or_else(|| agent.to_string()),
            output,
        },
    };
    match checks_of(item) {
        None => Vec::new(),
        Some(Value::Array(entries)) => {
            let read = entries
                .iter()
                .take(CHECKS_PER_ITEM)
                .enumerate()
                .map(|(i, entry)| match read(entry) {
                    Ok((check, level, summary)) => make(format!("checks[{i}]"), check, level, summary),
                    Err(why) => make(
                        format!("checks[{i}]"),
                        format!("checks[{i}]"),
                        Level::Unknown,
                        format!("this entry of {} could not be read: {why}", item.step),
                    ),
                });
            let cut = (entries.len() > CHECKS_PER_ITEM).then(|| {
                let summary = format!(
                    "only the first {CHECKS_PER_ITEM} of {} entries were read",
                    entries.len()
                );
                make(
                    format!("checks[{CHECKS_PER_ITEM}]"),
                    "checks".to_owned(),
                    Level::Unknown,
                    summary,
                )
            });
            read.chain(cut).collect()
        }
        Some(_) => {
            let summary = format!("the output checks of {} is no list", item.step);
            vec![make(
                "checks".to_owned(),
                "checks".to_owned(),
                Level::Unknown,
                summary,
            )]
        }
    }
}

fn read(entry: &Value) -> Result<(String, Level, String), String> {
    let Value::Object(entry) = entry else {
        return Err("expected an object".to_owned());
    };
    let check = one_line(text(entry, "check")?, NAME_CHARS);
    let level = match text(entry, "level")? {
        "normal" => Level::Normal,
        "warning" => Level::Warning,
        "critical" => Level::Critical,
        "unknown" => Level::Unknown,
        _ => return Err("level: expected normal, warning, critical or unknown".to_owned()),
    };
    let mut summary = text(entry, "summary")?.to_owned();
    if let Some(value) = value_text(entry)
        && !summary.contains(value.split(' ').next().unwrap_or_default())
    {
        summary = format!("{summary} ({value})");
    }
    Ok((check, level, one_line(&summary, SUMMARY_CHARS)))
}

fn text<'a>(entry: &'a Object, field: &str) -> Result<&'a str, String> {
    match entry.get(field) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
        Some(_) => Err(format!("{field}: expected text")),
        None => Err(format!("{field} is missing")),
    }
}

fn value_text(entry: &Map<String, Value>) -> Option<String> {
    let value = match entry.get("value")? {
        Value::String(text) if !text.is_empty() => text.clone(),
        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
        _ => return None,
    };
    Some(match entry.get("unit") {
        Some(Value::String(unit)) if !unit.is_empty() => format!("{value} {unit}"),
        _ => value,
    })
}

/// Line breaks become spaces; what is too long ends in `…`.
fn one_line(text: &str, limit: usize) -> String {
    let flat = text
        .trim()
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    let mut cut: String = flat.clone().take(limit).collect();
    if flat.count() > limit {
        cut.pop();
        cut.push('…');
    }
    cut
}
