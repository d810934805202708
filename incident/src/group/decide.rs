//! What an alert does to an incident.

use std::fmt;

use types::{Alert, AlertId, AlertState, IncidentId, Timestamp};

use super::{
    event::{IncidentEvent, RefusedRun, RunRef, What},
    state::IncidentState,
};
use crate::Delivery;

/// What is asked of an incident.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one command a webhook: never kept in bulk"
)]
pub enum Command {
    /// An alert came. The ids are fresh; they are used only where they are needed.
    Receive {
        /// The id for a new incident.
        incident: IncidentId,
        /// The id for a new alert.
        alert_id: AlertId,
        /// What makes it a repeat.
        delivery: Delivery,
        /// The alert.
        alert: Alert,
    },
    /// A run was started for an alert (in the same transaction).
    RunStarted {
        /// The alert.
        alert_id: AlertId,
        /// The run.
        run: RunRef,
    },
    /// A bound workflow was not started for an alert.
    RunRefused {
        /// The alert.
        alert_id: AlertId,
        /// Which, and why.
        refused: RefusedRun,
    },
}

/// Why a command cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecideError {
    /// The alert has another key, or the incident is too long ago: open a new one (decide with no state).
    NotThisIncident,
    /// There is no such incident.
    NoIncident,
    /// The incident has no such alert.
    NoAlert(AlertId),
}

impl fmt::Display for DecideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThisIncident => f.write_str("the alert does not belong to this incident"),
            Self::NoIncident => f.write_str("there is no such incident"),
            Self::NoAlert(id) => write!(f, "the incident has no alert {id}"),
        }
    }
}

impl std::error::Error for DecideError {}

/// Decides, without changing anything. A recovery updates the incident it belongs to; a firing of the same key
/// joins it while it is open and reopens it afterwards.
///
/// # Errors
/// See [`DecideError`].
pub fn decide(
    state: Option<&IncidentState>,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<IncidentEvent>, DecideError> {
    let what = match command {
        Command::RunStarted { alert_id, run } => What::RunStarted {
            alert_id: known(state, alert_id)?,
            run: run.clone(),
        },
        Command::RunRefused { alert_id, refused } => What::RunRefused {
            alert_id: known(state, alert_id)?,
            refused: refused.clone(),
        },
        Command::Receive {
            incident,
            alert_id,
            delivery,
            alert,
        } => receive(state, now, incident, alert_id, delivery, alert)?,
    };
    Ok(vec![IncidentEvent { at: now, what }])
}

/// An alert that the incident has.
fn known(state: Option<&IncidentState>, alert: &AlertId) -> Result<AlertId, DecideError> {
    let state = state.ok_or(DecideError::NoIncident)?;
    if !state.alerts.iter().any(|entry| entry.id == *alert) {
        return Err(DecideError::NoAlert(alert.clone()));
    }
    Ok(alert.clone())
}

fn receive(
    state: Option<&IncidentState>,
    now: Timestamp,
    incident: &IncidentId,
    alert_id: &AlertId,
    delivery: &Delivery,
    alert: &Alert,
) -> Result<What, DecideError> {
    let (alert_id, delivery, alert) = (alert_id.clone(), delivery.clone(), alert.clone());
    let Some(state) = state else {
        return Ok(What::Opened {
            incident: incident.clone(),
            alert_id,
            delivery,
            alert,
        });
    };
    if !state.takes(&delivery, now) {
        return Err(DecideError::NotThisIncident);
    }
    if let Some(first) = state.repeats(&delivery, &alert) {
        return Ok(What::AlertRepeated {
            alert_id: first.id.clone(),
        });
    }
    Ok(match (state.open, alert.state) {
        (_, AlertState::Resolved) => What::Recovered {
            alert_id,
            delivery,
            alert,
        },
        (true, _) => What::AlertJoined {
            alert_id,
            delivery,
            alert,
        },
        (false, _) => What::Reopened {
            alert_id,
            delivery,
            alert,
        },
    })
}

/// Whether these events are a reason to start the workflows that are bound to the alert.
#[must_use]
pub fn wants_runs(events: &[IncidentEvent]) -> bool {
    events.iter().any(|event| match &event.what {
        What::Opened { alert, .. } => alert.state != AlertState::Resolved,
        What::Reopened { .. } => true,
        What::AlertJoined { .. }
        | What::AlertRepeated { .. }
        | What::Recovered { .. }
        | What::RunStarted { .. }
        | What::RunRefused { .. } => false,
    })
}
