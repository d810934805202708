//! An incident as of its last event.

use std::fmt;

use types::{Alert, AlertId, AlertState, IncidentId, Timestamp};

use super::event::{IncidentEvent, RefusedRun, RunRef, What};
use crate::Delivery;

/// One alert of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertEntry {
    /// Its id.
    pub id: AlertId,
    /// What makes another delivery its repeat.
    pub delivery: Delivery,
    /// When it came.
    pub at: Timestamp,
    /// How often it came again.
    pub repeats: u64,
    /// The runs that it started.
    pub runs: Vec<RunRef>,
    /// The workflows that it should have started and could not.
    pub refused: Vec<RefusedRun>,
}

/// An incident.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentState {
    /// Its id.
    pub id: IncidentId,
    /// The key of its alerts.
    pub key: String,
    /// Whether it is still on.
    pub open: bool,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When the source last said that it is over.
    pub recovered_at: Option<Timestamp>,
    /// When an alert of it last came.
    pub last_at: Timestamp,
    /// The latest alert that fired; the first one, when none did.
    pub alert: Alert,
    /// Its alerts, oldest first, repeats counted in their first.
    pub alerts: Vec<AlertEntry>,
}

/// Why events do not make an incident: the stream is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoldError {
    /// The first event is not `opened`.
    NotOpened {
        /// The kind found.
        found: &'static str,
    },
    /// `opened` came twice.
    OpenedTwice,
    /// An event names an alert that the incident does not have.
    UnknownAlert(AlertId),
}

impl fmt::Display for FoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened { found } => write!(f, "an incident begins with opened, found {found}"),
            Self::OpenedTwice => f.write_str("an incident was opened twice"),
            Self::UnknownAlert(id) => write!(f, "an event names the unknown alert {id}"),
        }
    }
}

impl std::error::Error for FoldError {}

/// Folds a whole stream; none for an empty one.
///
/// # Errors
/// A damaged stream.
pub fn fold<'a>(
    events: impl IntoIterator<Item = &'a IncidentEvent>,
) -> Result<Option<IncidentState>, FoldError> {
    let mut state: Option<IncidentState> = None;
    for event in events {
        state = Some(match state {
            None => IncidentState::begin(event)?,
            Some(mut state) => {
                state.apply(event)?;
                state
            }
        });
    }
    Ok(state)
}

impl IncidentState {
    /// From the first event.
    ///
    /// # Errors
    /// When it is not `opened`.
    pub fn begin(event: &IncidentEvent) -> Result<Self, FoldError> {
        let What::Opened {
            incident,
            alert_id,
            delivery,
            alert,
        } = &event.what
        else {
            return Err(FoldError::NotOpened {
                found: event.what.kind(),
            });
        };
        let over = alert.state == AlertState::Resolved;
        let mut state = Self {
            id: incident.clone(),
            key: delivery.key.clone(),
            open: !over,
            opened_at: event.at,
            recovered_at: over.then_some(event.at),
            last_at: event.at,
            alert: alert.clone(),
            alerts: Vec::new(),
        };
        state.push(event.at, alert_id, delivery);
        Ok(state)
    }

    /// One more event.
    ///
    /// # Errors
    /// When it does not belong behind what came before.
    pub fn apply(&mut self, event: &IncidentEvent) -> Result<(), FoldError> {
        match &event.what {
            What::Opened { .. } => return Err(FoldError::OpenedTwice),
            What::AlertJoined {
                alert_id,
                delivery,
                alert,
            } => {
                self.alert = alert.clone();
                self.push(event.at, alert_id, delivery);
            }
            What::Reopened {
                alert_id,
                delivery,
                alert,
            } => {
                self.alert = alert.clone();
                self.open = true;
                self.push(event.at, alert_id, delivery);
            }
            What::Recovered {
                alert_id, delivery, ..
            } => {
                self.open = false;
                self.recovered_at = Some(event.at);
                self.push(event.at, alert_id, delivery);
            }
            What::AlertRepeated { alert_id } => {
                self.entry(alert_id)?.repeats += 1;
                self.last_at = event.at;
            }
            What::RunStarted { alert_id, run } => self.entry(alert_id)?.runs.push(run.clone()),
            What::RunRefused { alert_id, refused } => self.entry(alert_id)?.refused.push(refused.clone()),
        }
        Ok(())
    }

    fn push(&mut self, at: Timestamp, id: &AlertId, delivery: &Delivery) {
        self.last_at = at;
        self.alerts.push(AlertEntry {
            id: id.clone(),
            delivery: delivery.clone(),
            at,
            repeats: 0,
            runs: Vec::new(),
            refused: Vec::new(),
        });
    }

    fn entry(&mut self, id: &AlertId) -> Result<&mut AlertEntry, FoldError> {
        let known = self.alerts.iter_mut().rev().find(|entry| entry.id == *id);
        known.ok_or_else(|| FoldError::UnknownAlert(id.clone()))
    }

    /// Whether a delivery at `now` belongs to this incident: the same key, not too long after the last one.
    /// Where not, the caller opens a new incident, so that no alert is swallowed by one that is long forgotten.
    #[must_use]
    pub fn takes(&self, delivery: &Delivery, now: Timestamp) -> bool {
        self.key == delivery.key && now.since(self.last_at) <= delivery.window_ms
    }

    /// The alert that this one repeats. What a person opens by hand in other words is no repeat: it joins, and its words
    /// are kept.
    #[must_use]
    pub fn repeats(&self, delivery: &Delivery, alert: &Alert) -> Option<&AlertEntry> {
        self.repeated_by(delivery)
            .filter(|_| alert.source != crate::MANUAL || *alert == self.alert)
    }

    /// The alert that this delivery repeats: only the latest one counts, so that firing, recovery, firing
    /// are three alerts.
    #[must_use]
    pub fn repeated_by(&self, delivery: &Delivery) -> Option<&AlertEntry> {
        self.alerts
            .last()
            .filter(|entry| entry.delivery.state == delivery.state)
    }
}
