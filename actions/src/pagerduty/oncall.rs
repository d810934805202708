//! `pagerduty/oncall`: who is on call now, as PagerDuty's schedules have it.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Object, Signature, Trust, Type};

use super::client::{self, PagerDuty};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, optional, output, read, signature},
};

/// Ids of one question.
const IDS: usize = 50;

pub(crate) struct OnCall;

#[derive(Deserialize)]
struct Params {
    schedules: Vec<String>,
    escalation_policies: Vec<String>,
    levels: i64,
}

fn oncall_type() -> Type {
    Type::record(
        "oncall",
        [
            ("user_id", Type::String),
            ("name", Type::String),
            ("email?", Type::String),
            ("level", Type::Int),
            ("policy", Type::String),
            ("schedule?", Type::String),
            ("until?", Type::String),
        ],
    )
}

#[async_trait]
impl Action for OnCall {
    fn signature(&self) -> Signature {
        let ids = || Type::list(Type::String);
        Signature {
            effect: Effect::Reads,
            connection: Some("pagerduty".to_owned()),
            timeout_ms: 60_000,
            ..signature(
                "pagerduty/oncall",
                "Tells who is on call now, with the e-mail addresses that slack/resolve-users takes.",
                [
                    (
                        "schedules",
                        optional(
                            ids(),
                            Trust::Trusted,
                            Some(json!([])),
                            "Ids of schedules; empty means any.",
                        ),
                    ),
                    (
                        "escalation_policies",
                        optional(
                            ids(),
                            Trust::Trusted,
                            Some(json!([])),
                            "Ids of escalation policies; empty means any.",
                        ),
                    ),
                    (
                        "levels",
                        optional(
                            Type::Int,
                            Trust::Trusted,
                            Some(json!(1)),
                            "Up to which level of escalation, 1 to 20.",
                        ),
                    ),
                ],
                [
                    (
                        "oncalls",
                        gives(
                            Type::list(oncall_type()),
                            Trust::Untrusted,
                            "Who, for which policy, at which level, until when; lowest level first.",
                        ),
                    ),
                    (
                        "emails",
                        gives(
                            Type::list(Type::String),
                            Trust::Trusted,
                            "Their addresses, each once; each is a plain e-mail address.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let mut query = vec![("include[]", "users".to_owned())];
        for (name, ids) in [
            ("schedule_ids[]", &params.schedules),
            ("escalation_policy_ids[]", &params.escalation_policies),
        ] {
            if ids.len() > IDS {
                return Err(ActionError::action(format!(
                    "at most {IDS} ids are asked for at once"
                )));
            }
            for id in ids {
                query.push((name, client::id(id)?));
            }
        }
        if !(1..=20).contains(&params.levels) {
            return Err(ActionError::action("levels is from 1 to 20"));
        }
        let listed = PagerDuty::of(context)?
            .list("/oncalls", "oncalls", &query)
            .await?;
        let mut degraded = Vec::new();
        if !listed.whole {
            degraded.push(format!(
                "only the first {} entries were read: name schedules or escalation policies",
                listed.items.len()
            ));
        }
        let mut oncalls: Vec<Value> = listed.items.iter().filter_map(entry).collect();
        let level = |entry: &Value| entry["level"].as_i64().unwrap_or(i64::MAX);
        oncalls.retain(|entry| level(entry) <= params.levels);
        oncalls.sort_by_key(level);
        let emails = addresses(&oncalls, &mut degraded);
        if oncalls.is_empty() {
            degraded.push("nobody is on call there".to_owned());
        }
        Ok(output(
            [("oncalls", json!(oncalls)), ("emails", json!(emails))],
            degraded,
        ))
    }
}

fn entry(value: &Value) -> Option<Value> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    let mut entry = json!({
        "user_id": text("/user/id")?,
        "name": text("/user/name").or_else(|| text("/user/summary")).unwrap_or_default(),
        "level": value.get("escalation_level").and_then(Value::as_i64)?,
        "policy": text("/escalation_policy/summary").unwrap_or_default(),
    });
    for (name, path) in [
        ("email", "/user/email"),
        ("schedule", "/schedule/summary"),
        ("until", "/end"),
    ] {
        if let Some(found) = text(path) {
            entry[name] = found.into();
        }
    }
    Some(entry)
}

/// Each address once; who has none, or something else in its place, is told.
fn addresses(oncalls: &[Value], degraded: &mut Vec<String>) -> Vec<String> {
    let mut emails: Vec<String> = Vec::new();
    let mut without: Vec<&str> = Vec::new();
    for entry in oncalls {
        match entry["email"].as_str().filter(|email| client::is_address(email)) {
            Some(email) if emails.iter().any(|known| known.eq_ignore_ascii_case(email)) => {}
            Some(email) => emails.push(email.to_owned()),
            None => without.extend(entry["user_id"].as_str()),
        }
    }
    without.sort_unstable();
    without.dedup();
    if !without.is_empty() {
        degraded.push(format!(
            "{} on call without a usable e-mail address: {}",
            without.len(),
            without.join(", ")
        ));
    }
    emails
}
