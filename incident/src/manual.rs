//! An incident that a person opens: an alert like any other, of its own source.

use types::{Alert, AlertState, Severity};

use crate::{Delivery, Normalised, Shape};

/// The word in `Alert.source`.
pub const MANUAL: &str = "manual";

/// What a person says. Text of a person is untrusted text like a monitor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The id under which others know it: what joins alerts into one incident.
    pub external_id: String,
    /// What it is.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is known; empty when nothing is.
    pub description: String,
    /// `key=value` or plain.
    pub tags: Vec<String>,
    /// An exercise: the alert has the tag `test`, and its title says so.
    pub test: bool,
}

/// The alert that a person brings.
#[must_use]
pub fn by_hand(opening: Opening) -> Normalised {
    let mut tags = opening.tags;
    let mut title = opening.title;
    if opening.test {
        title = format!("[TEST] {title}");
        if !tags.iter().any(|tag| tag == "test") {
            tags.push("test".to_owned());
        }
    }
    let alert = Alert {
        source: MANUAL.to_owned(),
        dedupe_key: Some(format!("{MANUAL}:{}", opening.external_id)),
        id: opening.external_id,
        state: AlertState::Firing,
        title,
        severity: opening.severity,
        description: Some(opening.description).filter(|text| !text.is_empty()),
        hosts: Vec::new(),
        tags,
        links: Vec::new(),
        monitor: None,
        metrics: std::collections::BTreeMap::new(),
        fired_at: None,
        notes: Vec::new(),
    };
    let delivery = Delivery::of(&alert, false);
    Normalised {
        alert,
        shape: Shape::Manual,
        delivery,
        unread: Vec::new(),
        unfilled: Vec::new(),
    }
}
