//! The in-memory model: what the other stores must equal. For tests and simulations; it keeps nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::watch;
use types::{AgentId, AlertId, AttemptKey, IncidentId, LeaseToken, RunId, Timestamp};

use super::{
    AgentRow, Append, ArtifactRow, Claim, Drained, Evidence, Head, IncidentFilter, IncidentHead, LogEnd,
    LogPiece, LogStream, READ_BYTES, RunFilter, RunHead, Store, StoreError, StoredEvent, StoredObject,
    StreamAppend, StreamId, WorkflowRow, check,
    log_piece::{Fit, Kept, end_mark, fit},
};

/// A store in memory.
pub struct MemoryStore {
    state: Mutex<State>,
    committed: watch::Sender<u64>,
    logs_committed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// The cursor of an event is its index + 1.
    events: Vec<StoredEvent>,
    /// Cursors of the events of a stream; the seq of an event is its index + 1.
    streams: BTreeMap<StreamId, Vec<u64>>,
    runs: BTreeMap<RunId, RunHead>,
    incidents: BTreeMap<IncidentId, IncidentHead>,
    claims: BTreeMap<(String, String), Claim>,
    evidence: BTreeMap<AlertId, Evidence>,
    workflows: BTreeMap<(String, String), WorkflowRow>,
    newest: BTreeMap<String, String>,
    agents: BTreeMap<AgentId, (AgentRow, u64)>,
    drained: BTreeMap<AgentId, Drained>,
    artifacts: BTreeMap<(LeaseToken, String), ArtifactRow>,
    removed: BTreeMap<String, Timestamp>,
    logs: BTreeMap<(AttemptKey, LogStream), Log>,
}

impl State {
    /// What the artifact store holds, the longest stored first.
    fn objects(&self) -> Vec<StoredObject> {
        let mut by_sum: BTreeMap<&String, StoredObject> = BTreeMap::new();
        for row in self.artifacts.values() {
            let object = StoredObject {
                at: row.at,
                sha256: row.artifact.sha256.clone(),
                bytes: row.artifact.bytes,
            };
            let one = by_sum.entry(&row.artifact.sha256).or_insert(object);
            one.at = one.at.max(row.at);
            one.bytes = one.bytes.max(row.artifact.bytes);
        }
        let mut all: Vec<StoredObject> = by_sum.into_values().collect();
        all.retain(|object| !self.removed.contains_key(&object.sha256));
        all.sort_by(|a, b| (a.at, &a.sha256).cmp(&(b.at, &b.sha256)));
        all
    }
}

#[derive(Default)]
struct Log {
    pieces: Vec<Kept>,
    held: u64,
    ended: LogEnd,
}

/// Events until their bodies are enough.
fn bounded<'a>(events: impl Iterator<Item = &'a StoredEvent>) -> Vec<StoredEvent> {
    let mut bytes = 0;
    let enough = |event: &&StoredEvent| {
        let more = bytes < READ_BYTES;
        bytes += event.body.len();
        more
    };
    events.take_while(enough).cloned().collect()
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            committed: watch::Sender::new(0),
            logs_committed: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writable(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        Ok(state)
    }
}

impl State {
    fn check(&self, append: &Append) -> Result<(), StoreError> {
        for claim in &append.claims {
            let key = (claim.scope.clone(), claim.key.clone());
            if let Some(held) = self.claims.get(&key).filter(|held| held.expires_at > claim.at) {
                return Err(StoreError::Claimed(Box::new(held.clone())));
            }
        }
        for part in &append.streams {
            let actual = self
                .streams
                .get(&part.stream)
                .map_or(0, |cursors| cursors.len() as u64);
            if actual != part.expected_seq {
                let (stream, expected) = (part.stream.clone(), part.expected_seq);
                return Err(StoreError::Conflict {
                    stream,
                    expected,
                    actual,
                });
            }
        }
        Ok(())
    }

    fn apply(&mut self, part: StreamAppend) {
        let StreamAppend {
            stream, events, head, ..
        } = part;
        for event in events {
            let cursor = self.events.len() as u64 + 1;
            let cursors = self.streams.entry(stream.clone()).or_default();
            cursors.push(cursor);
            self.events.push(StoredEvent {
                stream: stream.clone(),
                seq: cursors.len() as u64,
                cursor,
                at: event.at,
                kind: event.kind,
                version: event.version,
                body: event.body,
            });
        }
        match (stream, head) {
            (StreamId::Run(id), Head::Run(head)) => drop(self.runs.insert(id, head)),
            (StreamId::Incident(id), Head::Incident(head)) => drop(self.incidents.insert(id, head)),
            (stream, _) => unreachable!("check::append lets no other head of {stream} pass"),
        }
    }

    fn write_piece(&mut self, piece: LogPiece) -> u64 {
        let log = self
            .logs
            .entry((piece.attempt.clone(), piece.stream))
            .or_default();
        match fit(log.held, log.ended, &piece) {
            Fit::Refused => {}
            Fit::Held { news } => log.ended = news.unwrap_or(log.ended),
            Fit::Keep { skip, offset, held } => {
                let data = piece.data.get(skip..).unwrap_or_default().to_vec();
                log.pieces.push(Kept {
                    start: log.held,
                    offset,
                    data,
                });
                log.held = held;
                log.ended = piece.end;
            }
        }
        log.held
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, append: Append) -> Result<u64, StoreError> {
        let mut state = self.writable()?;
        check::append(&append)?;
        state.check(&append)?;
        for claim in append.claims {
            state
                .claims
                .insert((claim.scope.clone(), claim.key.clone()), claim);
        }
        for evidence in append.evidence {
            state.evidence.entry(evidence.alert.clone()).or_insert(evidence);
        }
        if append.streams.is_empty() {
            return Ok(0);
        }
        append.streams.into_iter().for_each(|part| state.apply(part));
        let cursor = state.events.len() as u64;
        self.committed.send_replace(cursor);
        Ok(cursor)
    }

    fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    async fn events(
        &self,
        stream: &StreamId,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let state = self.state();
        let cursors = state.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let wanted = cursors
            .iter()
            .enumerate()
            .filter(|(index, _)| *index as u64 >= after_seq);
        let events = wanted.map(|(_, cursor)| &state.events[*cursor as usize - 1]);
        Ok(bounded(events.take(limit as usize)))
    }

    async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let state = self.state();
        let events = state.events.iter().filter(|event| event.cursor > cursor);
        Ok(bounded(events.take(limit as usize)))
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunHead>, StoreError> {
        Ok(self.state().runs.get(id).cloned())
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<(RunId, RunHead)>, StoreError> {
        let state = self.state();
        let wanted = state.runs.iter().rev().filter(|(id, head)| {
            filter.before.as_ref().is_none_or(|before| *id < before)
                && filter.workflow.as_ref().is_none_or(|name| head.workflow == *name)
                && (!filter.live || head.outcome.is_none())
                && (filter.outcomes.is_empty()
                    || head
                        .outcome
                        .is_some_and(|outcome| filter.outcomes.contains(&outcome)))
                && (filter.incident.is_none() || head.incident == filter.incident)
                && filter.started_from.is_none_or(|from| head.started_at >= from)
                && filter
                    .started_before
                    .is_none_or(|before| head.started_at < before)
        });
        let page = wanted.take(filter.limit as usize);
        Ok(page.map(|(id, head)| (id.clone(), head.clone())).collect())
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<IncidentHead>, StoreError> {
        Ok(self.state().incidents.get(id).cloned())
    }

    async fn incidents(
        &self,
        filter: &IncidentFilter,
    ) -> Result<Vec<(IncidentId, IncidentHead)>, StoreError> {
        let state = self.state();
        let page = state
            .incidents
            .iter()
            .rev()
            .filter(|(id, _)| filter.before.as_ref().is_none_or(|before| *id < before))
            .filter(|(_, head)| filter.open.is_none_or(|open| head.open == open))
            .take(filter.limit as usize);
        Ok(page.map(|(id, head)| (id.clone(), head.clone())).collect())
    }

    async fn incident_by_key(
        &self,
        dedupe_key: &str,
    ) -> Result<Option<(IncidentId, IncidentHead)>, StoreError> {
        let state = self.state();
        let newest = state
            .incidents
            .iter()
            .rev()
            .find(|(_, head)| head.dedupe_key == dedupe_key);
        Ok(newest.map(|(id, head)| (id.clone(), head.clone())))
    }

    async fn claim(&self, scope: &str, key: &str, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        let state = self.state();
        let claim = state.claims.get(&(scope.to_owned(), key.to_owned()));
        Ok(claim.filter(|claim| claim.expires_at > now).cloned())
    }

    async fn evidence(&self, alert: &AlertId) -> Result<Option<Evidence>, StoreError> {
        Ok(self.state().evidence.get(alert).cloned())
    }

    async fn put_workflow(&self, row: WorkflowRow) -> Result<bool, StoreError> {
        let mut state = self.writable()?;
        if state.newest.get(&row.name) == Some(&row.version) {
            return Ok(false);
        }
        state.newest.insert(row.name.clone(), row.version.clone());
        state
            .workflows
            .insert((row.name.clone(), row.version.clone()), row);
        Ok(true)
    }

    async fn workflow(&self, name: &str, version: Option<&str>) -> Result<Option<WorkflowRow>, StoreError> {
        let state = self.state();
        let newest = state.newest.get(name).map(String::as_str);
        let Some(version) = version.or(newest) else {
            return Ok(None);
        };
        Ok(state
            .workflows
            .get(&(name.to_owned(), version.to_owned()))
            .cloned())
    }

    async fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError> {
        let state = self.state();
        let keys = state
            .newest
            .iter()
            .map(|(name, version)| (name.clone(), version.clone()));
        Ok(keys
            .filter_map(|key| state.workflows.get(&key).cloned())
            .collect())
    }

    async fn agent_session(&self, agent: AgentRow, dial: u64) -> Result<Option<u64>, StoreError> {
        let mut state = self.writable()?;
        check::number("the dial", dial)?;
        let highest = state.agents.get(&agent.id).map_or(0, |(_, dial)| *dial);
        if dial <= highest {
            return Ok(Some(highest));
        }
        state.agents.insert(agent.id.clone(), (agent, dial));
        Ok(None)
    }

    async fn drain(&self, drained: Drained) -> Result<(), StoreError> {
        self.writable()?.drained.insert(drained.agent.clone(), drained);
        Ok(())
    }

    async fn undrain(&self, agent: &AgentId) -> Result<(), StoreError> {
        self.writable()?.drained.remove(agent);
        Ok(())
    }

    async fn drained(&self) -> Result<Vec<Drained>, StoreError> {
        Ok(self.state().drained.values().cloned().collect())
    }

    async fn keep_artifact(&self, row: ArtifactRow) -> Result<(), StoreError> {
        let key = (row.token.clone(), row.artifact.name.clone());
        let mut state = self.writable()?;
        state.removed.remove(&row.artifact.sha256);
        state.artifacts.insert(key, row);
        Ok(())
    }

    async fn objects(
        &self,
        after: Option<&StoredObject>,
        limit: u32,
    ) -> Result<Vec<StoredObject>, StoreError> {
        let behind = |object: &StoredObject| {
            after.is_none_or(|after| (object.at, &object.sha256) > (after.at, &after.sha256))
        };
        let all = self.state().objects().into_iter().filter(behind);
        Ok(all.take(limit as usize).collect())
    }

    async fn object_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.state().objects().iter().map(|object| object.bytes).sum())
    }

    async fn object_removed(&self, sha256: &str, at: Timestamp) -> Result<(), StoreError> {
        self.writable()?.removed.insert(sha256.to_owned(), at);
        Ok(())
    }

    async fn removed(&self, sums: &[String]) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        let mut removed = self.state().removed.clone();
        removed.retain(|sum, _| sums.contains(sum));
        Ok(removed)
    }

    async fn artifacts(&self, run: &RunId) -> Result<Vec<ArtifactRow>, StoreError> {
        let state = self.state();
        Ok(state
            .artifacts
            .values()
            .filter(|row| row.run == *run)
            .cloned()
            .collect())
    }

    async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        let mut agents: Vec<_> = self.state().agents.values().map(|(row, _)| row.clone()).collect();
        agents.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(agents)
    }

    async fn write_logs(&self, pieces: Vec<LogPiece>) -> Result<Vec<u64>, StoreError> {
        let mut state = self.writable()?;
        let held = pieces.into_iter().map(|piece| state.write_piece(piece)).collect();
        self.logs_committed.send_modify(|commits| *commits += 1);
        Ok(held)
    }

    async fn read_log(
        &self,
        attempt: &AttemptKey,
        stream: LogStream,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Vec<LogPiece>, StoreError> {
        let state = self.state();
        let Some(log) = state.logs.get(&(attempt.clone(), stream)) else {
            return Ok(Vec::new());
        };
        if offset >= log.held && log.ended.is_end() {
            return Ok(vec![end_mark(attempt, stream, offset, log.ended)]);
        }
        let mut pieces: Vec<LogPiece> = Vec::new();
        let mut bytes = 0;
        for kept in log.pieces.iter().filter(|kept| kept.end() > offset) {
            if !pieces.is_empty() && bytes >= max_bytes {
                break;
            }
            let end = if kept.end() == log.held {
                log.ended
            } else {
                LogEnd::Open
            };
            let piece = kept.clone().cut(attempt, stream, offset, end);
            bytes += piece.data.len();
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn logs_committed(&self) -> watch::Receiver<u64> {
        self.logs_committed.subscribe()
    }

    async fn close(&self) {
        self.state().closed = true;
    }
}
