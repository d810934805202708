//! `incident/parse`: an alert → INCIDENT_DATA, nothing added.

use async_trait::async_trait;
use serde::Deserialize;
use types::{Alert, Incident, Object, Signature, Trust, Type};

use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, json, optional, output, read, required, signature},
};

pub(crate) struct Parse;

#[derive(Deserialize)]
struct Params {
    alert: Alert,
    incident_id: Option<String>,
}

#[async_trait]
impl Action for Parse {
    fn signature(&self) -> Signature {
        signature(
            "incident/parse",
            "Makes an incident of an alert: its facts, nothing added.",
            [
                ("alert", required(Alert::ty(), Trust::Untrusted, "The alert.")),
                (
                    "incident_id",
                    optional(
                        Type::String,
                        Trust::Trusted,
                        None,
                        "Firehall's id of the incident; else the run's.",
                    ),
                ),
            ],
            [(
                "incident",
                gives(Incident::ty(), Trust::Untrusted, "INCIDENT_DATA."),
            )],
        )
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params { alert, incident_id } = read(params)?;
        let teams = alert.tag_values("team").map(str::to_owned).collect();
        let incident = Incident {
            source: alert.source,
            id: alert.id,
            reference: incident_id
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| context.run.to_string()),
            title: alert.title,
            severity: alert.severity,
            description: alert.description,
            hosts: alert.hosts,
            tags: alert.tags,
            teams,
            links: alert.links,
            monitor: alert.monitor,
            metrics: alert.metrics,
            notes: alert.notes,
        };
        let line = format!(
            "{} ({}), {} host(s): {}",
            incident.id,
            incident.severity,
            incident.hosts.len(),
            incident.title
        );
        context.log.line(&line).await;
        Ok(output([("incident", json(&incident)?)], Vec::new()))
    }
}
