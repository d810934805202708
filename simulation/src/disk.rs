//! The server's store: the one in memory, which outlives the server's process, with a disk's slowness around each write,
//! so that a crash falls before, between and behind.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use engine::{At, Event, history};
use server::store::{
    AgentRow, Append, ArtifactRow, Claim, Drained, Evidence, IncidentFilter, IncidentHead, LogPiece,
    LogStream, RunFilter, RunHead, Store, StoreError, StoredEvent, StoredObject, StreamId, WorkflowRow,
    memory::MemoryStore,
};
use tokio::sync::watch;
use types::{AgentId, AlertId, AttemptKey, IncidentId, RunId, Timestamp};

use crate::{machine, record::Record};

/// The longest that a write takes before it is there, and again until it is answered.
const SLOW_MS: u64 = 25;
/// The planted bug: one of so many appends is not written.
const FORGETS: u64 = 12;

/// The disk.
pub struct Disk {
    inner: MemoryStore,
    record: Record,
    forgets: bool,
}

async fn slow() {
    tokio::time::sleep(Duration::from_millis(machine::random() % SLOW_MS)).await;
}

impl Disk {
    /// An empty one.
    #[must_use]
    pub fn new(record: Record, forgets: bool) -> Self {
        Self {
            inner: MemoryStore::new(),
            record,
            forgets,
        }
    }

    fn note(&self, append: &Append) {
        for part in &append.streams {
            for (n, event) in (part.expected_seq + 1..).zip(&part.events) {
                let read = history::read(&event.kind, event.version, &event.body).ok();
                if let Some(Event::AttemptLost { at, token, .. }) = &read {
                    self.record.lost(token, &at.step);
                }
                let what = read
                    .and_then(|event| at(&event))
                    .map_or_else(String::new, |at| format!(" {at:?}"));
                let line = format!("{:?} {n} {}{what}", part.stream, event.kind);
                self.record.say("store", line);
            }
        }
    }
}

/// Which attempt an event is about.
fn at(event: &Event) -> Option<AttemptName> {
    match event {
        Event::AttemptOffered { at, .. }
        | Event::AttemptReturned { at, .. }
        | Event::AttemptAccepted { at, .. }
        | Event::AttemptStarted { at, .. }
        | Event::AttemptFinished { at, .. }
        | Event::AttemptLost { at, .. }
        | Event::AttemptSettled { at, .. } => Some(AttemptName(at.clone())),
        _ => None,
    }
}

struct AttemptName(At);

impl std::fmt::Debug for AttemptName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let At { step, index, attempt } = &self.0;
        match index {
            Some(index) => write!(f, "{step}[{index}]#{attempt}"),
            None => write!(f, "{step}#{attempt}"),
        }
    }
}

#[async_trait]
impl Store for Disk {
    async fn append(&self, append: Append) -> Result<u64, StoreError> {
        slow().await;
        if self.forgets && machine::random().is_multiple_of(FORGETS) {
            return Ok(*self.inner.committed().borrow());
        }
        let noted = append.clone();
        let cursor = self.inner.append(append).await?;
        self.note(&noted);
        slow().await;
        Ok(cursor)
    }

    fn committed(&self) -> watch::Receiver<u64> {
        self.inner.committed()
    }

    async fn events(
        &self,
        stream: &StreamId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.events(stream, after, limit).await
    }

    async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.events_after(cursor, limit).await
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunHead>, StoreError> {
        self.inner.run(id).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<(RunId, RunHead)>, StoreError> {
        self.inner.runs(filter).await
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<IncidentHead>, StoreError> {
        self.inner.incident(id).await
    }

    async fn incidents(
        &self,
        filter: &IncidentFilter,
    ) -> Result<Vec<(IncidentId, IncidentHead)>, StoreError> {
        self.inner.incidents(filter).await
    }

    async fn incident_by_key(&self, key: &str) -> Result<Option<(IncidentId, IncidentHead)>, StoreError> {
        self.inner.incident_by_key(key).await
    }

    async fn claim(&self, scope: &str, key: &str, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        self.inner.claim(scope, key, now).await
    }

    async fn evidence(&self, alert: &AlertId) -> Result<Option<Evidence>, StoreError> {
        self.inner.evidence(alert).await
    }

    async fn put_workflow(&self, row: WorkflowRow) -> Result<bool, StoreError> {
        slow().await;
        self.inner.put_workflow(row).await
    }

    async fn workflow(&self, name: &str, version: Option<&str>) -> Result<Option<WorkflowRow>, StoreError> {
        self.inner.workflow(name, version).await
    }

    async fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError> {
        self.inner.workflows().await
    }

    async fn agent_session(&self, agent: AgentRow, dial: u64) -> Result<Option<u64>, StoreError> {
        slow().await;
        let taken = self.inner.agent_session(agent, dial).await;
        slow().await;
        taken
    }

    async fn drain(&self, drained: Drained) -> Result<(), StoreError> {
        slow().await;
        self.inner.drain(drained).await
    }

    async fn undrain(&self, agent: &AgentId) -> Result<(), StoreError> {
        slow().await;
        self.inner.undrain(agent).await
    }

    async fn drained(&self) -> Result<Vec<Drained>, StoreError> {
        self.inner.drained().await
    }

    async fn keep_artifact(&self, row: ArtifactRow) -> Result<(), StoreError> {
        slow().await;
        self.inner.keep_artifact(row).await?;
        slow().await;
        Ok(())
    }
    async fn artifacts(&self, run: &RunId) -> Result<Vec<ArtifactRow>, StoreError> {
        self.inner.artifacts(run).await
    }
    async fn objects(
        &self,
        after: Option<&StoredObject>,
        limit: u32,
    ) -> Result<Vec<StoredObject>, StoreError> {
        self.inner.objects(after, limit).await
    }
    async fn object_bytes(&self) -> Result<u64, StoreError> {
        self.inner.object_bytes().await
    }
    async fn object_removed(&self, sha256: &str, at: Timestamp) -> Result<(), StoreError> {
        self.inner.object_removed(sha256, at).await
    }
    async fn removed(&self, sums: &[String]) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        self.inner.removed(sums).await
    }
    async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        self.inner.agents().await
    }

    async fn write_logs(&self, pieces: Vec<LogPiece>) -> Result<Vec<u64>, StoreError> {
        slow().await;
        let held = self.inner.write_logs(pieces).await;
        slow().await;
        held
    }

    async fn read_log(
        &self,
        attempt: &AttemptKey,
        stream: LogStream,
        offset: u64,
        max: usize,
    ) -> Result<Vec<LogPiece>, StoreError> {
        self.inner.read_log(attempt, stream, offset, max).await
    }

    fn logs_committed(&self) -> watch::Receiver<u64> {
        self.inner.logs_committed()
    }

    /// The server's process ends; the disk does not.
    async fn close(&self) {}
}
