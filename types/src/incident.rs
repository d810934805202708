//! An incident as a value of the language: what `incident/parse` makes of an alert.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Link, Monitor, Severity, Type, alert};

/// INCIDENT_DATA: the alert's facts, nothing added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Where the alert came from.
    pub source: String,
    /// The alert's own id: what people call the incident by.
    pub id: String,
    /// Firehall's id of the incident (`inc_…`), or the run's id where a run was started without one.
    /// It makes names unique and marks what is ours at a vendor.
    pub reference: String,
    /// The title, unchanged.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// More words, unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Affected hosts.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The values of `team:` tags.
    #[serde(default)]
    pub teams: Vec<String>,
    /// Links for people.
    #[serde(default)]
    pub links: Vec<Link>,
    /// The vendor's rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Numbers that came with it.
    #[serde(default)]
    pub metrics: BTreeMap<String, String>,
    /// What the receiver noticed.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Incident {
    /// The language's type of an incident.
    #[must_use]
    pub fn ty() -> Type {
        let Type::Record { mut fields, .. } = Type::record("incident", alert::common_fields()) else {
            unreachable!("a record")
        };
        let Type::Record { fields: more, .. } = Type::record(
            "incident",
            [
                ("reference", Type::String),
                ("teams", Type::list(Type::String)),
                ("monitor?", alert::monitor_type()),
                ("notes", Type::list(Type::String)),
            ],
        ) else {
            unreachable!("a record")
        };
        fields.extend(more);
        Type::Record {
            name: "incident".to_owned(),
            fields,
        }
    }
}
