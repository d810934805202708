//! Alerts on their way in, whoever brings them: grouped, and with the runs that they start made durable in one
//! transaction. The only writer of incidents.

mod counts;
mod grouping;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use engine::{RunStarted, Trigger};
use incident::{IncidentState, Normalised, RefusedRun};
use tokio::sync::Mutex;
use types::{AlertId, IncidentId, Object, RunId, Timestamp};

use self::grouping::{Shard, damaged, group};
pub(crate) use self::{counts::Counts, grouping::events};
use crate::{
    Core,
    clock::entropy,
    runs::{self, Prepared},
    store::{Append, Claim, Evidence, StoreError},
    workflows,
};

/// Alerts of one key are taken one after the other; of different keys together.
const SHARDS: usize = 64;
/// Tries when another writer was first.
const TRIES: usize = 8;

/// The way in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Intake {
    shards: Arc<Vec<Mutex<Shard>>>,
    /// What came in since the process began.
    pub(crate) counts: Arc<Counts>,
}

/// The ids of what an alert became.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Accepted {
    pub(crate) alert_id: AlertId,
    pub(crate) incident_id: IncidentId,
    pub(crate) run_id: Option<RunId>,
    pub(crate) run_ids: Vec<RunId>,
    /// Bound workflows that could not be started for it; left out of the answer when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<RefusedRun>,
    /// Whether it opened its incident.
    #[serde(skip)]
    pub(crate) opened: bool,
}

/// An alert with what is stored beside it.
pub(crate) struct Arrival<'a> {
    /// The alert.
    pub(crate) read: &'a Normalised,
    /// Who brought it: `webhook:datadog`, or a caller.
    pub(crate) by: String,
    /// For the bound workflows that declare them.
    pub(crate) inputs: &'a Object,
    /// Its raw form.
    pub(crate) content_type: String,
    pub(crate) body: &'a [u8],
    /// Keys that must be free, by the answer.
    pub(crate) claims: &'a (dyn Fn(&Accepted, Timestamp) -> Vec<Claim> + Send + Sync),
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self {
            shards: Arc::new((0..SHARDS).map(|_| Mutex::default()).collect()),
            counts: Arc::default(),
        }
    }

    fn shard(&self, key: &str) -> &Mutex<Shard> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        &self.shards[usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0)]
    }

    /// Takes an alert; durable when it answers.
    ///
    /// # Errors
    /// `Conflict` when other writers were first each time, `Claimed` for a key in use, and what the store cannot do.
    pub(crate) async fn take(&self, core: &Core, arrival: &Arrival<'_>) -> Result<Accepted, StoreError> {
        let mut shard = self.shard(&arrival.read.delivery.key).lock().await;
        let mut tries = 1;
        loop {
            match once(core, &mut shard, arrival).await {
                Err(StoreError::Conflict { .. }) if tries < TRIES => tries += 1,
                answer => return answer,
            }
        }
    }

    /// Stores a run that joins an incident, as started for the alert for which `like` was.
    ///
    /// # Errors
    /// As for `take`; `Corrupt` when there is no such incident.
    pub(crate) async fn join(
        &self,
        core: &Core,
        incident: &IncidentId,
        like: &RunId,
        first: impl Fn() -> Result<Prepared, StoreError>,
        claims: Vec<Claim>,
    ) -> Result<(), StoreError> {
        let gone = || StoreError::Corrupt(format!("there is no incident {incident}"));
        let head = core.store.incident(incident).await?.ok_or_else(gone)?;
        let mut shard = self.shard(&head.dedupe_key).lock().await;
        let mut tries = 1;
        loop {
            let mut joined = grouping::joined(core, incident, like).await?;
            let prepared = first()?;
            let now = core.clock.now();
            let run = (prepared.run.id.clone(), prepared.run.plan.name.clone());
            let append = joined
                .run_started(run.0, run.1, now)
                .and_then(|()| joined.append());
            shard.forget(&head.dedupe_key);
            let append = Append {
                streams: vec![append?],
                claims: claims.clone(),
                ..Append::default()
            };
            match core.runs.commit(vec![prepared], append).await {
                Err(StoreError::Conflict { .. }) if tries < TRIES => tries += 1,
                answer => return answer,
            }
        }
    }
}

async fn once(core: &Core, shard: &mut Shard, arrival: &Arrival<'_>) -> Result<Accepted, StoreError> {
    let read = arrival.read;
    let key = &read.delivery.key;
    let now = core.clock.now();
    let mut grouped = group(shard.incident_of(core, key).await?, read, now)?;
    let opened = grouped.before.is_none();
    if grouped.events.is_empty() {
        return Ok(accepted(&grouped.after, grouped.alert, opened));
    }
    let mut prepared = Vec::new();
    if incident::wants_runs(&grouped.events) {
        for start in runs_for(core, arrival, &grouped.after.id).await? {
            match start {
                Ok(first) => {
                    let (run, workflow) = (first.run.clone(), first.plan.name.clone());
                    // One workflow that cannot be begun keeps neither the alert out nor the others.
                    match core.runs.prepare_caught(first).await {
                        Some(begun) => {
                            grouped.run_started(run, workflow, now)?;
                            prepared.push(begun);
                        }
                        None => {
                            let why = "a defect of the server, whose log says more".to_owned();
                            grouped.run_refused(RefusedRun { workflow, why }, now)?;
                        }
                    }
                }
                Err(refused) => {
                    tracing::error!(
                        incident = %grouped.after.id,
                        workflow = refused.workflow,
                        why = refused.why,
                        "a bound workflow was not started for an alert"
                    );
                    grouped.run_refused(refused, now)?;
                }
            }
        }
    }
    let mut append = Append::default();
    append.streams.push(grouped.append()?);
    if grouped.first {
        append.evidence.push(Evidence {
            alert: grouped.alert.clone(),
            source: read.alert.source.clone(),
            received_at: now,
            content_type: arrival.content_type.clone(),
            body: arrival.body.to_vec(),
        });
    }
    let accepted = accepted(&grouped.after, grouped.alert.clone(), opened);
    append.claims = (arrival.claims)(&accepted, now);
    // Whatever becomes of it, what is kept is not sure until it is stored.
    shard.forget(key);
    core.runs.commit(prepared, append).await?;
    shard.keep(key, grouped.stored());
    Ok(accepted)
}

/// The workflows that are bound to this alert: ready to run, or why not. The alert is kept all the same.
async fn runs_for(
    core: &Core,
    arrival: &Arrival<'_>,
    incident: &IncidentId,
) -> Result<Vec<Result<RunStarted, RefusedRun>>, StoreError> {
    let alert = serde_json::to_value(&arrival.read.alert).map_err(damaged)?;
    let mut starts = Vec::new();
    for plan in workflows::bound_to(core, &alert).await? {
        let workflow = plan.name.clone();
        let refused = |why: String| Err(RefusedRun { workflow, why });
        starts.push(
            match plan.bind_inputs(&workflows::declared(&plan, arrival.inputs)) {
                Ok(inputs) => {
                    let trigger = Trigger {
                        alert: Some(alert.clone()),
                        incident: Some(incident.clone()),
                        by: arrival.by.clone(),
                    };
                    let run = RunId::new(core.clock.now(), entropy());
                    let first = RunStarted::new(run, plan, inputs, trigger);
                    match runs::too_large(&first).map_err(damaged)? {
                        None => Ok(first),
                        // Such an event would end every stream that comes to it.
                        Some(bytes) => refused(format!(
                            "its plan, inputs and the alert are {bytes} bytes together, and {} is the most",
                            runs::FIRST_BYTES
                        )),
                    }
                }
                // The compiler refuses this for workflows that alerts start; an old definition might still be kept.
                Err(errors) => {
                    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                    refused(errors.join("; "))
                }
            },
        );
    }
    Ok(starts)
}

fn accepted(state: &IncidentState, alert: AlertId, opened: bool) -> Accepted {
    let entry = state.alerts.iter().find(|entry| entry.id == alert);
    let run_ids: Vec<RunId> = entry
        .iter()
        .flat_map(|entry| entry.runs.iter().map(|run| run.run.clone()))
        .collect();
    Accepted {
        alert_id: alert,
        incident_id: state.id.clone(),
        run_id: run_ids.first().cloned(),
        run_ids,
        refused: entry.map(|entry| entry.refused.clone()).unwrap_or_default(),
        opened,
    }
}
