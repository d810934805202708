//! Whether an alert starts the workflow.

use types::{Object, Value};
use workflow::{Plan, Scope};

use super::view::{AlertBrief, Triggers};

/// Whether alerts start the plan, and whether this one would: `on.alert.when` is asked as a server asks it when an alert
/// comes in. That an alert joins an incident which is open already, and so starts nothing, only a server can tell.
#[must_use]
pub fn triggers(plan: &Plan, alert: Option<&Value>) -> Triggers {
    let when = plan.on_alert.as_ref().and_then(|on| on.when.as_ref());
    let (starts, why) = match (&plan.on_alert, alert) {
        (None, _) => (
            Some(false),
            "it has no `on: alert`: people and programs start it".to_owned(),
        ),
        (Some(_), None) => (None, "no alert is given to ask about".to_owned()),
        (Some(_), Some(alert)) => {
            let (starts, why) = starts(plan, alert);
            (Some(starts), why)
        }
    };
    Triggers {
        by_alert: plan.on_alert.is_some(),
        when: when.map(|when| when.0.clone()),
        starts,
        why,
        alert: alert.map(brief),
    }
}

fn starts(plan: &Plan, alert: &Value) -> (bool, String) {
    if alert["state"] == "resolved" {
        return (
            false,
            "the alert says that it is over: a recovery starts nothing".to_owned(),
        );
    }
    let Some(when) = plan.on_alert.as_ref().and_then(|on| on.when.as_ref()) else {
        return (true, "each alert that opens an incident starts it".to_owned());
    };
    let mut roots = Object::new();
    roots.insert("alert".to_owned(), alert.clone());
    let scope = Scope {
        roots,
        ..Scope::default()
    };
    match when.eval(&scope) {
        Ok(Value::Bool(true)) => (true, "its condition holds".to_owned()),
        Ok(_) => (false, "its condition does not hold".to_owned()),
        Err(error) => (false, format!("its condition has no value: {error}")),
    }
}

fn brief(alert: &Value) -> AlertBrief {
    let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
    let hosts = alert["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
    AlertBrief {
        source: text("source"),
        id: text("id"),
        title: text("title"),
        severity: text("severity"),
        state: text("state"),
        hosts: hosts
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}
