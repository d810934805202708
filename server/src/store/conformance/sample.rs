//! Values to store.

use types::{AgentId, AlertId, AttemptKey, IncidentId, RunId, RunOutcome, Timestamp};

use crate::store::{
    AgentRow, Append, Claim, Evidence, Head, IncidentHead, LogEnd, LogPiece, LogStream, NewEvent, RunHead,
    StreamAppend, StreamId, WorkflowRow,
};

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_790_000_000_000 + ms)
}

pub(crate) fn run_id(n: u16) -> RunId {
    RunId::new(at(i64::from(n)), [7; 10])
}

pub(crate) fn incident_id(n: u16) -> IncidentId {
    IncidentId::new(at(i64::from(n)), [8; 10])
}

pub(crate) fn alert_id(n: u16) -> AlertId {
    AlertId::new(at(i64::from(n)), [9; 10])
}

pub(crate) fn run_stream(n: u16) -> StreamId {
    StreamId::Run(run_id(n))
}

pub(crate) fn events(count: usize, word: &str) -> Vec<NewEvent> {
    let event = |i| NewEvent {
        at: at(i64::try_from(i).unwrap()),
        kind: format!("step.{word}"),
        version: 3,
        body: format!("{{\"n\":{i},\"text\":\"é\\u0000\"}}"),
    };
    (0..count).map(event).collect()
}

pub(crate) fn run_head(workflow: &str, outcome: Option<RunOutcome>) -> RunHead {
    RunHead {
        workflow: workflow.to_owned(),
        outcome,
        reasons: outcome.iter().map(|o| format!("because {o}")).collect(),
        started_at: at(1),
        finished_at: outcome.map(|_| at(2)),
        incident: outcome.map(|_| incident_id(4)),
    }
}

pub(crate) fn incident_head(dedupe_key: &str, open: bool) -> IncidentHead {
    IncidentHead {
        dedupe_key: dedupe_key.to_owned(),
        open,
        title: "Disk full on db-1".to_owned(),
        severity: "critical".to_owned(),
        source: "datadog".to_owned(),
        opened_at: at(3),
        resolved_at: (!open).then(|| at(9)),
        alerts: 2,
        runs: vec![run_id(1), run_id(2)],
    }
}

pub(crate) fn to_run(n: u16, expected_seq: u64, count: usize) -> StreamAppend {
    StreamAppend {
        stream: run_stream(n),
        expected_seq,
        events: events(count, "ended"),
        head: Head::Run(run_head("disk", None)),
    }
}

pub(crate) fn to_incident(n: u16, expected_seq: u64, dedupe_key: &str) -> StreamAppend {
    StreamAppend {
        stream: StreamId::Incident(incident_id(n)),
        expected_seq,
        events: events(1, "opened"),
        head: Head::Incident(incident_head(dedupe_key, true)),
    }
}

pub(crate) fn only(stream: StreamAppend) -> Append {
    Append {
        streams: vec![stream],
        ..Append::default()
    }
}

pub(crate) fn claim(key: &str, from: i64, until: i64) -> Claim {
    Claim {
        scope: "start".to_owned(),
        key: key.to_owned(),
        request_hash: format!("hash of {key}"),
        answer: format!("{{\"at\":{from}}}"),
        at: at(from),
        expires_at: at(until),
    }
}

pub(crate) fn evidence(n: u16, body: &[u8]) -> Evidence {
    Evidence {
        alert: alert_id(n),
        source: "datadog".to_owned(),
        received_at: at(5),
        content_type: "application/json".to_owned(),
        body: body.to_vec(),
    }
}

pub(crate) fn workflow(name: &str, version: &str, ms: i64) -> WorkflowRow {
    WorkflowRow {
        name: name.to_owned(),
        version: version.to_owned(),
        source: format!("name: {name}"),
        plan: "{}".to_owned(),
        stored_at: at(ms),
    }
}

pub(crate) fn agent(n: u8, name: &str) -> AgentRow {
    AgentRow {
        id: AgentId::new(at(i64::from(n)), [n; 10]),
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        labels: types::Labels(["host=a", "host=b"].iter().map(|l| l.parse().unwrap()).collect()),
        facts: "{\"slots\":4}".to_owned(),
        seen_at: at(i64::from(n)),
    }
}

pub(crate) fn attempt(n: u32) -> AttemptKey {
    AttemptKey {
        run: run_id(1),
        step: "collect".to_owned(),
        index: None,
        attempt: n,
    }
}

pub(crate) fn piece(offset: u64, data: &[u8]) -> LogPiece {
    LogPiece {
        attempt: attempt(1),
        stream: LogStream::Stdout,
        offset,
        data: data.to_vec(),
        lost: 0,
        end: LogEnd::Open,
    }
}
