//! `pagerduty/incident`: an incident as PagerDuty has it.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Object, Signature, Trust, Type};

use super::client::{self, PagerDuty};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, output, read, signature},
};

pub(crate) struct Incident;

#[derive(Deserialize)]
struct Params {
    incident: String,
}

fn incident_type() -> Type {
    Type::record(
        "pagerduty_incident",
        [
            ("id", Type::String),
            ("number", Type::Int),
            ("title", Type::String),
            ("status", Type::String),
            ("urgency", Type::String),
            ("priority?", Type::String),
            ("service", Type::String),
            ("link", Type::String),
            ("created_at", Type::String),
            ("assignees", Type::list(Type::String)),
            ("acknowledged_by", Type::list(Type::String)),
        ],
    )
}

#[async_trait]
impl Action for Incident {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("pagerduty".to_owned()),
            ..signature(
                "pagerduty/incident",
                "Reads an incident: its status, who it is assigned to and who acknowledged it.",
                [("incident", client::incident_param(Trust::Untrusted))],
                [(
                    "incident",
                    gives(
                        incident_type(),
                        Trust::Untrusted,
                        "The incident as PagerDuty has it now.",
                    ),
                )],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params { incident } = read(params)?;
        let id = client::id(&incident)?;
        let body = PagerDuty::of(context)?.get(&format!("/incidents/{id}")).await?;
        let found = &body["incident"];
        let text = |path: &str| found.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let who = |list: &str, key: &str| -> Vec<String> {
            let entries = found.get(list).and_then(Value::as_array);
            let name = |entry: &Value| entry[key]["summary"].as_str().map(str::to_owned);
            entries.into_iter().flatten().filter_map(name).collect()
        };
        if text("/id") != id {
            return Err(ActionError::action(
                "PagerDuty answered with another incident than was asked for",
            ));
        }
        let mut incident = json!({
            "id": id, "number": found["incident_number"].as_i64().unwrap_or_default(), "title": text("/title"),
            "status": text("/status"), "urgency": text("/urgency"), "service": text("/service/summary"),
            "link": text("/html_url"), "created_at": text("/created_at"),
            "assignees": who("assignments", "assignee"), "acknowledged_by": who("acknowledgements", "acknowledger"),
        });
        if let Some(priority) = found.pointer("/priority/summary").and_then(Value::as_str) {
            incident["priority"] = priority.into();
        }
        Ok(output([("incident", incident)], Vec::new()))
    }
}
