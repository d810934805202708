//! An incident's events as lines for people.

use types::Timestamp;

use super::event::{IncidentEvent, What};

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What, with the alert's own text in it unchanged: escape it where it is shown.
    pub text: String,
}

/// The timeline, oldest first.
#[must_use]
pub fn timeline(events: &[IncidentEvent]) -> Vec<Moment> {
    let text = |what: &What| match what {
        What::Opened { alert, .. } => {
            format!(
                "opened by {} ({}, {}): {}",
                alert.source,
                alert.severity,
                alert.state.as_str(),
                alert.title
            )
        }
        What::AlertJoined { alert, .. } => {
            format!("alert joined ({}): {}", alert.state.as_str(), alert.title)
        }
        What::AlertRepeated { alert_id } => format!("delivered again: {alert_id}"),
        What::Recovered { .. } => "the source says that it is over".to_owned(),
        What::Reopened { alert, .. } => format!("fires again ({}): {}", alert.state.as_str(), alert.title),
        What::RunStarted { run, .. } => format!("{} started as {}", run.workflow, run.run),
        What::RunRefused { refused, .. } => format!("{} was not started: {}", refused.workflow, refused.why),
    };
    events
        .iter()
        .map(|event| Moment {
            at: event.at,
            text: text(&event.what),
        })
        .collect()
}
