//! An alert: what a vendor told us, in our words, every text of it untrusted.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{Timestamp, Type};

/// How bad it is. The order is from worst to best; unknown is last and never made up into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// P1.
    Critical,
    /// P2.
    High,
    /// P3.
    Medium,
    /// P4 and below.
    Low,
    /// For information.
    Info,
    /// The source did not say.
    Unknown,
}

impl Severity {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the source says of the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It is on.
    Firing,
    /// The source has no data: its own kind.
    NoData,
    /// It is over.
    Resolved,
    /// The source said something we do not know; treated as firing and noted.
    Unknown,
}

impl AlertState {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::NoData => "no_data",
            Self::Resolved => "resolved",
            Self::Unknown => "unknown",
        }
    }
}

/// A link for people; only http and https.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it shows.
    pub title: String,
    /// Where.
    pub url: String,
}

/// The vendor's rule that fired.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Monitor {
    /// Its id at the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Its threshold, as the vendor wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// The value that tripped it, as the vendor wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// One alert. Absent stays absent: nothing is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// `datadog`, `generic`, `manual`, …
    pub source: String,
    /// The vendor's own id of this alert, or a hash of the body where there is none.
    pub id: String,
    /// One key from trigger to recovery, where the source has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe_key: Option<String>,
    /// What the source says of the problem.
    pub state: AlertState,
    /// What it is, in the source's words, unchanged.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// More words, unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Affected hosts, in the source's order, without repeats.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// `key:value` or bare tags, in the source's order.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Links for people.
    #[serde(default)]
    pub links: Vec<Link>,
    /// The vendor's rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Numbers that came with it, as the vendor wrote them.
    #[serde(default)]
    pub metrics: BTreeMap<String, String>,
    /// When it fired by the source's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// What the receiver noticed: missing fields, a default template, an unknown transition.
    #[serde(default)]
    pub notes: Vec<String>,
}

pub(crate) fn common_fields() -> [(&'static str, Type); 9] {
    let text = || Type::String;
    [
        ("source", text()),
        ("id", text()),
        ("title", text()),
        ("severity", text()),
        ("description?", text()),
        ("hosts", Type::list(text())),
        ("tags", Type::list(text())),
        (
            "links",
            Type::list(Type::record("link", [("title", text()), ("url", text())])),
        ),
        ("metrics", Type::Map(Box::new(text()))),
    ]
}

pub(crate) fn monitor_type() -> Type {
    Type::record(
        "monitor",
        [
            ("id?", Type::String),
            ("name?", Type::String),
            ("query?", Type::String),
            ("threshold?", Type::String),
            ("value?", Type::String),
        ],
    )
}

impl Alert {
    /// The language's type of an alert.
    #[must_use]
    pub fn ty() -> Type {
        let Type::Record { mut fields, .. } = Type::record("alert", common_fields()) else {
            unreachable!("a record")
        };
        let Type::Record { fields: more, .. } = Type::record(
            "alert",
            [
                ("state", Type::String),
                ("dedupe_key?", Type::String),
                ("monitor?", monitor_type()),
                ("fired_at?", Type::Int),
                ("notes", Type::list(Type::String)),
            ],
        ) else {
            unreachable!("a record")
        };
        fields.extend(more);
        Type::Record {
            name: "alert".to_owned(),
            fields,
        }
    }

    /// The values of the tags with this key: `team:backend` → `backend`.
    pub fn tag_values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.tags
            .iter()
            .filter_map(move |tag| tag.split_once(':').filter(|(k, _)| *k == key).map(|(_, v)| v))
    }
}
