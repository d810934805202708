//! Answers of the server as typed views; their JSON form is what `-o json` prints.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;
use types::{Object, RunOutcome, StepOutcome, Timestamp};

#[cfg(doc)]
use crate::Client;
use crate::{Error, time::rfc3339};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// `run_…`.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// How it ended; none while it is live.
    pub outcome: Option<RunOutcome>,
    /// When it started.
    #[serde(serialize_with = "instant")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(serialize_with = "instant")]
    pub finished_at: Option<Timestamp>,
    /// Why it is not succeeded.
    pub reasons: Vec<String>,
    /// `inc_…`, when it has one.
    pub incident: Option<String>,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// The last event that this folds.
    pub seq: u64,
    /// The run that it repeats.
    pub rerun_of: Option<String>,
    /// Its steps; empty in a list of runs.
    pub steps: Vec<StepView>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepView {
    /// Its key.
    pub key: String,
    /// What it does.
    pub what: String,
    /// Where it is.
    pub state: StepState,
    /// Why it is not succeeded.
    pub reasons: Vec<String>,
    /// What it waits for.
    pub needs: Vec<String>,
    /// When it began.
    #[serde(serialize_with = "instant")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(serialize_with = "instant")]
    pub finished_at: Option<Timestamp>,
    /// Its tries.
    pub attempts: Vec<AttemptView>,
    /// Its outputs.
    pub outputs: Object,
    /// Its items, when it is a fan-out.
    pub items: Vec<Value>,
    /// The run whose outputs it took over instead of running.
    pub reused_from: Option<String>,
    /// What it waits for now.
    pub waits_for: Option<String>,
}

/// Where a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// For its needs.
    Waiting,
    /// For an agent.
    Queued,
    /// An agent has it.
    Running,
    /// It may have run; a report or a verdict will tell.
    InDoubt,
    /// Over.
    Ended(StepOutcome),
    /// A word of a newer server.
    Unrecognised(String),
}

impl StepState {
    /// The word that every surface uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::InDoubt => "in_doubt",
            Self::Ended(outcome) => outcome.as_str(),
            Self::Unrecognised(word) => word,
        }
    }

    fn from_word(word: String) -> Self {
        use StepOutcome as O;
        let outcomes = [
            O::Succeeded,
            O::Degraded,
            O::Skipped,
            O::Omitted,
            O::NotRun,
            O::Cancelled,
            O::Failed,
        ];
        match word.as_str() {
            "waiting" => Self::Waiting,
            "queued" => Self::Queued,
            "running" => Self::Running,
            "in_doubt" => Self::InDoubt,
            other => match outcomes.into_iter().find(|outcome| outcome.as_str() == other) {
                Some(outcome) => Self::Ended(outcome),
                None => Self::Unrecognised(word),
            },
        }
    }
}

impl Serialize for StepState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A try of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptView {
    /// The item of a fan-out.
    pub index: Option<u32>,
    /// The try, from 1.
    pub attempt: u32,
    /// Where it is.
    pub state: AttemptState,
    /// `agt_…`, where it was offered.
    pub agent_id: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// When it was queued.
    #[serde(serialize_with = "instant")]
    pub queued_at: Option<Timestamp>,
    /// When it began.
    #[serde(serialize_with = "instant")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(serialize_with = "instant")]
    pub finished_at: Option<Timestamp>,
    /// By the agent's boot-time clock.
    pub duration_ms: u64,
    /// Why it failed or degraded.
    pub message: Option<String>,
    /// The main process's exit code.
    pub exit_code: Option<i32>,
    /// What ran it and what of the hardening was in force.
    pub runtime: Option<String>,
    /// The digest of the image that ran.
    pub image_digest: Option<String>,
    /// What became of its services, by name in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceView>,
}

/// A service of a try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// From its start until it was found ready; absent when it was not, or nobody asked.
    pub ready_ms: Option<u64>,
    /// How it ended, when it ended before the step did.
    pub ended: Option<String>,
    /// Its exit code then.
    pub exit_code: Option<i32>,
    /// The digest of the image that ran.
    pub image_digest: Option<String>,
}

/// Where a try is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptState(String);

impl AttemptState {
    /// The word that every surface uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for AttemptState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A kept workflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkflowView {
    /// Its name.
    pub name: String,
    /// SHA-256 of its source, hex.
    pub version: String,
    /// When it was kept.
    #[serde(serialize_with = "instant")]
    pub stored_at: Option<Timestamp>,
    /// Its source; empty in a list.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Its plan; none in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
}

/// What came of compiling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompileView {
    /// What is wrong or doubtful.
    pub diagnostics: Vec<DiagnosticView>,
    /// The plan when nothing is wrong.
    pub plan: Option<Value>,
}

/// One diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagnosticView {
    /// Its code.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentView {
    /// `inc_…`.
    pub id: String,
    /// `open` or `resolved`.
    pub state: String,
    /// Its title, unchanged.
    pub title: String,
    /// How bad.
    pub severity: String,
    /// Where it came from.
    pub source: String,
    /// When it opened.
    #[serde(serialize_with = "instant")]
    pub opened_at: Option<Timestamp>,
    /// When it was resolved.
    #[serde(serialize_with = "instant")]
    pub resolved_at: Option<Timestamp>,
    /// Deliveries that it joined.
    pub alerts: u32,
    /// Its runs.
    pub runs: Vec<String>,
    /// Its history; none in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Value>,
    /// Events that `history` leaves out of its middle because it is too large; [`Client::watch_incident`] has them all.
    #[serde(skip_serializing_if = "is_zero")]
    pub history_left_out: u32,
    /// Its id elsewhere; none when its source gave none.
    pub external_id: Option<String>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentView {
    /// `agt_…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it is there.
    pub state: AgentState,
    /// `key=value`.
    pub labels: Vec<String>,
    /// Attempts at once.
    pub capacity: u32,
    /// Attempts now.
    pub running: u32,
    /// Usable runtimes.
    pub runtimes: Vec<String>,
    /// What each of them offers beyond what all do (`network:egress`); one that is not here does not say.
    pub runtime_offers: BTreeMap<String, Vec<String>>,
    /// What its operator's policy grants.
    pub grants: Vec<String>,
    /// Connections that it holds, by name.
    pub connections: Vec<String>,
    /// When it was heard last.
    #[serde(serialize_with = "instant")]
    pub last_seen: Option<Timestamp>,
    /// Whether it is offered nothing new.
    pub draining: bool,
    /// Which limits do not hold a step as a whole on its host; empty where all do.
    pub limits: String,
    /// Whether it is offered nothing new and holds nothing any more.
    pub drained: bool,
}

/// Whether an agent is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It is.
    Connected,
    /// It is not, or not surely.
    Disconnected,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

pub(crate) fn instant<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}

/// An incident's history with its instants as all others are told.
fn dated(mut history: Value) -> Value {
    for event in history.as_array_mut().into_iter().flatten() {
        for instant in ["/at", "/what/body/alert/fired_at"] {
            if let Some(at) = event.pointer_mut(instant)
                && let Some(ms) = at.as_i64()
            {
                *at = Value::String(rfc3339(Timestamp::from_unix_ms(ms)));
            }
        }
    }
    history
}

/// The wire's 0 means "not yet".
pub(crate) fn at(ms: i64) -> Option<Timestamp> {
    (ms != 0).then(|| Timestamp::from_unix_ms(ms))
}

pub(crate) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

pub(crate) fn json<T: serde::de::DeserializeOwned + Default>(what: &str, text: &str) -> Result<T, Error> {
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|error| Error::Answer(format!("{what}: {error}")))
}

fn outcome(number: i32) -> Result<Option<RunOutcome>, Error> {
    use proto::v1::Outcome as O;
    match O::try_from(number) {
        Ok(O::Unspecified) => Ok(None),
        Ok(O::Succeeded) => Ok(Some(RunOutcome::Succeeded)),
        Ok(O::Degraded) => Ok(Some(RunOutcome::Degraded)),
        Ok(O::Failed) => Ok(Some(RunOutcome::Failed)),
        Ok(O::Cancelled) => Ok(Some(RunOutcome::Cancelled)),
        // Never shown as live or as a success: this client is too old for the server.
        Err(_) => Err(Error::Answer(format!(
            "an outcome that this version does not know ({number})"
        ))),
    }
}

impl RunView {
    /// From the wire.
    ///
    /// # Errors
    /// For an outcome of a newer version, and for outputs that are no JSON.
    pub fn from_wire(run: proto::v1::Run) -> Result<Self, Error> {
        Ok(Self {
            id: run.id,
            workflow: run.workflow,
            outcome: outcome(run.outcome)?,
            started_at: at(run.started_at_ms),
            finished_at: at(run.finished_at_ms),
            reasons: run.reasons,
            incident: some(run.incident_id),
            cancel_requested: run.cancel_requested,
            seq: run.seq,
            rerun_of: some(run.rerun_of),
            steps: run
                .steps
                .into_iter()
                .map(StepView::from_wire)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl StepView {
    fn from_wire(step: proto::v1::Step) -> Result<Self, Error> {
        Ok(Self {
            outputs: json(&format!("the outputs of {}", step.key), &step.outputs_json)?,
            items: json(&format!("the items of {}", step.key), &step.items_json)?,
            key: step.key,
            what: step.what,
            state: StepState::from_word(step.state),
            reasons: step.reasons,
            needs: step.needs,
            started_at: at(step.started_at_ms),
            finished_at: at(step.finished_at_ms),
            attempts: step.attempts.into_iter().map(AttemptView::from_wire).collect(),
            reused_from: some(step.reused_from),
            waits_for: some(step.waits_for),
        })
    }
}

impl AttemptView {
    fn from_wire(attempt: proto::v1::Attempt) -> Self {
        Self {
            index: attempt.index,
            attempt: attempt.attempt,
            state: AttemptState(attempt.state),
            agent_id: some(attempt.agent_id),
            agent: some(attempt.agent_name),
            queued_at: at(attempt.queued_at_ms),
            started_at: at(attempt.started_at_ms),
            finished_at: at(attempt.finished_at_ms),
            duration_ms: attempt.duration_ms,
            message: some(attempt.message),
            exit_code: attempt.exit_code,
            runtime: some(attempt.runtime),
            image_digest: some(attempt.image_digest),
            services: attempt.services.into_iter().map(ServiceView::from_wire).collect(),
        }
    }
}

impl ServiceView {
    fn from_wire(service: proto::v1::ServiceInfo) -> Self {
        Self {
            name: service.name,
            ready_ms: service.ready_ms,
            ended: some(service.ended),
            exit_code: service.exit_code,
            image_digest: some(service.image_digest),
        }
    }
}

impl WorkflowView {
    /// From the wire.
    ///
    /// # Errors
    /// For a plan that is no JSON.
    pub fn from_wire(workflow: proto::v1::Workflow) -> Result<Self, Error> {
        Ok(Self {
            plan: json("the plan", &workflow.plan_json)?,
            name: workflow.name,
            version: workflow.version,
            stored_at: at(workflow.stored_at_ms),
            source: workflow.source,
        })
    }
}

impl CompileView {
    /// From the wire.
    ///
    /// # Errors
    /// For a plan that is no JSON.
    pub fn from_wire(answer: proto::v1::CompileResponse) -> Result<Self, Error> {
        Ok(Self {
            diagnostics: answer
                .diagnostics
                .into_iter()
                .map(DiagnosticView::from_wire)
                .collect(),
            plan: json("the plan", &answer.plan_json)?,
        })
    }
}

impl DiagnosticView {
    /// From the wire.
    #[must_use]
    pub fn from_wire(one: proto::v1::Diagnostic) -> Self {
        Self {
            code: one.code,
            severity: one.severity,
            line: one.line,
            column: one.column,
            message: one.message,
            help: one.help,
        }
    }
}

impl IncidentView {
    /// From the wire.
    ///
    /// # Errors
    /// For a history that is no JSON.
    pub fn from_wire(incident: proto::v1::IncidentInfo) -> Result<Self, Error> {
        Ok(Self {
            history: json::<Option<Value>>("the history", &incident.history_json)?.map(dated),
            id: incident.id,
            state: incident.state,
            title: incident.title,
            severity: incident.severity,
            source: incident.source,
            opened_at: at(incident.opened_at_ms),
            resolved_at: at(incident.resolved_at_ms),
            alerts: incident.alerts,
            runs: incident.run_ids,
            history_left_out: incident.history_left_out,
            external_id: some(incident.external_id),
        })
    }
}

impl AgentView {
    /// From the wire. A state that this build does not know counts as not there.
    #[must_use]
    pub fn from_wire(agent: proto::v1::AgentInfo) -> Self {
        Self {
            id: agent.id,
            name: agent.name,
            version: agent.version,
            state: if agent.state == "connected" {
                AgentState::Connected
            } else {
                AgentState::Disconnected
            },
            labels: agent.labels,
            capacity: agent.capacity,
            running: agent.running,
            runtimes: agent.runtimes,
            runtime_offers: agent
                .runtime_offers
                .into_iter()
                .map(|one| (one.runtime, one.words))
                .collect(),
            grants: agent.grants,
            connections: agent.connections,
            last_seen: at(agent.last_seen_ms),
            draining: agent.draining,
            limits: agent.limits,
            drained: agent.drained,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_run_keeps_its_facts_and_live_has_no_outcome() {
        let wire = proto::v1::Run {
            id: "run_1".into(),
            started_at_ms: 1_000,
            ..Default::default()
        };
        let json = serde_json::to_value(RunView::from_wire(wire).unwrap()).unwrap();
        assert_eq!(json["outcome"], Value::Null);
        assert_eq!(json["finished_at"], Value::Null);
        assert_eq!(json["started_at"], "1970-01-01T00:00:01.000Z");
    }

    #[test]
    fn an_unknown_outcome_is_an_error_not_a_live_run() {
        let wire = proto::v1::Run {
            outcome: 77,
            ..Default::default()
        };
        assert!(matches!(RunView::from_wire(wire), Err(Error::Answer(_))));
    }

    #[test]
    fn states_are_words_and_unknown_ones_are_kept() {
        for word in ["waiting", "queued", "running", "in_doubt", "not_run", "degraded"] {
            let state = StepState::from_word(word.into());
            assert!(!matches!(state, StepState::Unrecognised(_)), "{word}");
            assert_eq!(state.as_str(), word);
        }
        assert_eq!(StepState::from_word("paused".into()).as_str(), "paused");
    }

    #[test]
    fn an_incidents_history_has_instants_like_all_others_and_a_list_has_no_history() {
        let history = serde_json::json!([
            {"at": 1_000, "what": {"kind": "opened", "body": {"alert": {"fired_at": 2_000, "value": 3}}}},
            {"at": 4_000, "what": {"kind": "run_started", "body": {"run": "run_1"}}},
        ]);
        let wire = proto::v1::IncidentInfo {
            history_json: history.to_string(),
            ..Default::default()
        };
        let view = serde_json::to_value(IncidentView::from_wire(wire).unwrap()).unwrap();
        let alert = &view["history"][0]["what"]["body"]["alert"];
        assert_eq!(view["history"][0]["at"], "1970-01-01T00:00:01.000Z");
        assert_eq!(
            *alert,
            serde_json::json!({"fired_at": "1970-01-01T00:00:02.000Z", "value": 3})
        );
        assert_eq!(view["history"][1]["at"], "1970-01-01T00:00:04.000Z");
        let listed = IncidentView::from_wire(proto::v1::IncidentInfo::default()).unwrap();
        assert_eq!(listed.history, None);
    }

    #[test]
    fn outputs_that_are_no_json_are_an_error() {
        let step = proto::v1::Step {
            key: "a".into(),
            outputs_json: "{".into(),
            ..Default::default()
        };
        let wire = proto::v1::Run {
            steps: vec![step],
            ..Default::default()
        };
        assert!(
            RunView::from_wire(wire)
                .unwrap_err()
                .to_string()
                .contains("outputs of a")
        );
    }
}
