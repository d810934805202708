//! Alerts into incidents: the incident of a key as it is now, kept in memory while alerts of it come.

use std::collections::HashMap;

use incident::{Command, IncidentEvent, IncidentState, Normalised, RefusedRun, RunRef};
use types::{AlertId, IncidentId, Millis, RunId, Timestamp};

use crate::{
    Core,
    clock::entropy,
    store::{Head, IncidentHead, NewEvent, StoreError, StreamAppend, StreamId},
};

/// Incidents that one shard keeps in memory.
const KEPT: usize = 64;
/// Repeats of an alert that are recorded each.
const REPEATS: u64 = 100;
/// Beyond them, one is recorded in this time: a storm of repeats must not grow the history without end. They are
/// answered all the same.
const REPEAT_EVERY_MS: Millis = 60_000;

/// An incident and the seq of its last event.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) state: IncidentState,
    pub(super) seq: u64,
}

/// The incidents of some keys as this process last wrote them. It is the only writer of incidents; should it be wrong
/// after all, the append conflicts and `forget` makes the next look go to the store.
#[derive(Debug, Default)]
pub(super) struct Shard {
    known: HashMap<String, Known>,
}

impl Shard {
    /// The newest incident of a key.
    pub(super) async fn incident_of(&self, core: &Core, key: &str) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.known.get(key) {
            return Ok(Some(known.clone()));
        }
        let Some((id, _)) = core.store.incident_by_key(key).await? else {
            return Ok(None);
        };
        let (events, seq) = events(core, &id).await?;
        let state = incident::fold(&events).map_err(damaged)?;
        Ok(state.map(|state| Known { state, seq }))
    }

    /// What is stored now.
    pub(super) fn keep(&mut self, key: &str, known: Known) {
        if self.known.len() >= KEPT && !self.known.contains_key(key) {
            self.known.clear();
        }
        self.known.insert(key.to_owned(), known);
    }

    /// What is stored is not sure.
    pub(super) fn forget(&mut self, key: &str) {
        self.known.remove(key);
    }
}

/// An incident's events, oldest first, and the seq of the last.
pub(crate) async fn events(core: &Core, id: &IncidentId) -> Result<(Vec<IncidentEvent>, u64), StoreError> {
    let stream = StreamId::Incident(id.clone());
    let mut events = Vec::new();
    let mut seq = 0;
    loop {
        let page = core.store.events(&stream, seq, 1_000).await?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        for stored in &page {
            let body = serde_json::from_str(&stored.body).map_err(damaged)?;
            let stored = incident::Stored {
                kind: stored.kind.clone(),
                version: stored.version,
                body,
            };
            events.push(IncidentEvent::load(&stored).map_err(damaged)?);
        }
    }
    Ok((events, seq))
}

/// An alert's effect on its incident, decided and not stored yet.
pub(super) struct Grouped {
    /// The incident before; none for a new one.
    pub(super) before: Option<Known>,
    /// After.
    pub(super) after: IncidentState,
    /// What happened.
    pub(super) events: Vec<IncidentEvent>,
    /// The alert's id: that of the first delivery, for a repeat.
    pub(super) alert: AlertId,
    /// Whether this delivery is the first.
    pub(super) first: bool,
}

/// An incident that a run joins, as started for the alert for which another run was; nothing has happened yet.
pub(super) async fn joined(core: &Core, id: &IncidentId, like: &RunId) -> Result<Grouped, StoreError> {
    let (events, seq) = events(core, id).await?;
    let state = incident::fold(&events)
        .map_err(damaged)?
        .ok_or_else(|| StoreError::Corrupt(format!("there is no incident {id}")))?;
    let of = |entry: &&incident::AlertEntry| entry.runs.iter().any(|run| run.run == *like);
    let alert = state.alerts.iter().find(of).or(state.alerts.last());
    let alert = alert.map(|entry| entry.id.clone());
    Ok(Grouped {
        alert: alert.ok_or_else(|| StoreError::Corrupt(format!("{id} has no alert")))?,
        after: state.clone(),
        before: Some(Known { state, seq }),
        events: Vec::new(),
        first: false,
    })
}

/// Decides what an alert does to the incident of its key.
pub(super) fn group(known: Option<Known>, read: &Normalised, now: Timestamp) -> Result<Grouped, StoreError> {
    let before = known.filter(|known| known.state.takes(&read.delivery, now));
    let fresh = AlertId::new(now, entropy());
    let receive = Command::Receive {
        incident: IncidentId::new(now, entropy()),
        alert_id: fresh.clone(),
        delivery: read.delivery.clone(),
        alert: read.alert.clone(),
    };
    let state = before.as_ref().map(|known| &known.state);
    let repeated = state
        .and_then(|state| state.repeats(&read.delivery, &read.alert))
        .cloned();
    if let (Some(entry), Some(state)) = (&repeated, state)
        && entry.repeats >= REPEATS
        && now.since(state.last_at) < REPEAT_EVERY_MS
    {
        return Ok(Grouped {
            after: state.clone(),
            before,
            events: Vec::new(),
            alert: entry.id.clone(),
            first: false,
        });
    }
    let events = incident::decide(state, &receive, now).map_err(damaged)?;
    let after = evolved(state.cloned(), &events)?;
    Ok(Grouped {
        before,
        after,
        events,
        first: repeated.is_none(),
        alert: repeated.map_or(fresh, |entry| entry.id),
    })
}

impl Grouped {
    /// A run is started for the alert, in the same transaction.
    pub(super) fn run_started(
        &mut self,
        run: RunId,
        workflow: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let started = Command::RunStarted {
            alert_id: self.alert.clone(),
            run: RunRef { run, workflow },
        };
        let events = incident::decide(Some(&self.after), &started, now).map_err(damaged)?;
        self.after = evolved(Some(self.after.clone()), &events)?;
        self.events.extend(events);
        Ok(())
    }

    /// A bound workflow is not started for the alert.
    pub(super) fn run_refused(&mut self, refused: RefusedRun, now: Timestamp) -> Result<(), StoreError> {
        let alert_id = self.alert.clone();
        let events = incident::decide(Some(&self.after), &Command::RunRefused { alert_id, refused }, now)
            .map_err(damaged)?;
        self.after = evolved(Some(self.after.clone()), &events)?;
        self.events.extend(events);
        Ok(())
    }

    /// What is known once it is stored.
    pub(super) fn stored(self) -> Known {
        let seq = self.before.map_or(0, |known| known.seq) + self.events.len() as u64;
        Known {
            state: self.after,
            seq,
        }
    }

    /// As a stream's append; there must be events.
    pub(super) fn append(&self) -> Result<StreamAppend, StoreError> {
        stream(
            &self.after,
            self.before.as_ref().map_or(0, |known| known.seq),
            &self.events,
        )
    }
}

fn evolved(state: Option<IncidentState>, events: &[IncidentEvent]) -> Result<IncidentState, StoreError> {
    let mut state = state;
    for event in events {
        state = Some(match state {
            None => IncidentState::begin(event).map_err(damaged)?,
            Some(mut state) => {
                state.apply(event).map_err(damaged)?;
                state
            }
        });
    }
    state.ok_or_else(|| StoreError::Corrupt("an incident without events".to_owned()))
}

fn stream(
    state: &IncidentState,
    expected_seq: u64,
    events: &[IncidentEvent],
) -> Result<StreamAppend, StoreError> {
    let events = events
        .iter()
        .map(|event| {
            let stored = event.store().map_err(damaged)?;
            let body = stored.body.to_string();
            Ok(NewEvent {
                at: event.at,
                kind: stored.kind,
                version: stored.version,
                body,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let head = IncidentHead {
        dedupe_key: state.key.clone(),
        open: state.open,
        title: state.alert.title.clone(),
        severity: state.alert.severity.as_str().to_owned(),
        source: state.alert.source.clone(),
        opened_at: state.opened_at,
        resolved_at: state.recovered_at.filter(|_| !state.open),
        alerts: u32::try_from(state.alerts.len()).unwrap_or(u32::MAX),
        runs: state
            .alerts
            .iter()
            .flat_map(|alert| alert.runs.iter().map(|run| run.run.clone()))
            .collect(),
    };
    Ok(StreamAppend {
        stream: StreamId::Incident(state.id.clone()),
        expected_seq,
        events,
        head: Head::Incident(head),
    })
}

pub(super) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
