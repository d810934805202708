//! The alerts of an incident as they were delivered.

use incident::{IncidentEvent, What};
use types::Alert;

/// One delivery, of which the body as it came is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its alert's id: `alr_…`.
    pub alert_id: String,
    /// When it came, Unix milliseconds.
    pub at_ms: i64,
    /// `firing`, `no_data`, `resolved`, …
    pub state: String,
    /// How often it came again.
    pub repeats: usize,
}

fn alert(event: &IncidentEvent) -> Option<(&types::AlertId, &Alert)> {
    match &event.what {
        What::Opened { alert_id, alert, .. }
        | What::AlertJoined { alert_id, alert, .. }
        | What::Reopened { alert_id, alert, .. }
        | What::Recovered { alert_id, alert, .. } => Some((alert_id, alert)),
        What::AlertRepeated { .. } | What::RunStarted { .. } | What::RunRefused { .. } => None,
    }
}

/// The newest alert that fired, else the first one.
pub(super) fn newest(history: &[IncidentEvent]) -> Option<Alert> {
    let fired = |event: &&IncidentEvent| !matches!(event.what, What::Recovered { .. });
    let mut alerts = history.iter().rev().filter(fired).filter_map(alert);
    alerts.next().map(|(_, alert)| alert.clone())
}

/// All deliveries, oldest first, repeats counted in their first.
pub(super) fn deliveries(history: &[IncidentEvent]) -> Vec<Delivery> {
    let mut deliveries: Vec<Delivery> = Vec::new();
    for event in history {
        if let Some((id, alert)) = alert(event) {
            deliveries.push(Delivery {
                alert_id: id.to_string(),
                at_ms: event.at.unix_ms(),
                state: alert.state.as_str().to_owned(),
                repeats: 0,
            });
        } else if let What::AlertRepeated { alert_id } = &event.what {
            let first = deliveries
                .iter_mut()
                .rev()
                .find(|one| one.alert_id == alert_id.as_str());
            if let Some(first) = first {
                first.repeats += 1;
            }
        }
    }
    deliveries
}
