//! The store in memory with faults on request. It outlives its server: `close` does nothing.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use server::store::{
    AgentRow, Append, ArtifactRow, Claim, Drained, Evidence, IncidentFilter, IncidentHead, LogPiece,
    LogStream, RunFilter, RunHead, Store, StoreError, StoredEvent, StoredObject, StreamId, WorkflowRow,
    memory::MemoryStore,
};
use tokio::sync::watch;
use types::{AgentId, AlertId, AttemptKey, IncidentId, RunId, Timestamp};

#[derive(Default)]
pub(crate) struct Faulty {
    inner: MemoryStore,
    /// Appends that fail and are not stored.
    pub(crate) refuse: AtomicU32,
    /// Appends that are stored and said to have failed.
    pub(crate) forget_to_say: AtomicU32,
    /// Reads of histories that fail.
    pub(crate) unreadable: AtomicU32,
    /// Reads of a run's artifacts that find them damaged.
    pub(crate) damaged_artifacts: AtomicU32,
    /// How long each append takes before it is stored, milliseconds.
    pub(crate) slow_ms: AtomicU32,
    /// Appends that were stored.
    pub(crate) appends: AtomicU32,
}

fn take(count: &AtomicU32) -> bool {
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
        .is_ok()
}

fn down() -> StoreError {
    StoreError::Unavailable("on request".to_owned())
}

#[async_trait]
impl Store for Faulty {
    async fn append(&self, append: Append) -> Result<u64, StoreError> {
        if append == Append::default() {
            // A look whether the store answers: it neither counts nor uses up a fault.
            return if self.refuse.load(Ordering::SeqCst) > 0 {
                Err(down())
            } else {
                self.inner.append(append).await
            };
        }
        if take(&self.refuse) {
            return Err(down());
        }
        let slow = self.slow_ms.load(Ordering::SeqCst);
        if slow > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(slow.into())).await;
        }
        let cursor = self.inner.append(append).await?;
        self.appends.fetch_add(1, Ordering::SeqCst);
        if take(&self.forget_to_say) {
            Err(down())
        } else {
            Ok(cursor)
        }
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
        if take(&self.unreadable) {
            return Err(down());
        }
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
        self.inner.put_workflow(row).await
    }
    async fn workflow(&self, name: &str, version: Option<&str>) -> Result<Option<WorkflowRow>, StoreError> {
        self.inner.workflow(name, version).await
    }
    async fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError> {
        self.inner.workflows().await
    }
    async fn agent_session(&self, agent: AgentRow, dial: u64) -> Result<Option<u64>, StoreError> {
        self.inner.agent_session(agent, dial).await
    }
    async fn drain(&self, drained: Drained) -> Result<(), StoreError> {
        self.inner.drain(drained).await
    }
    async fn undrain(&self, agent: &AgentId) -> Result<(), StoreError> {
        self.inner.undrain(agent).await
    }
    async fn drained(&self) -> Result<Vec<Drained>, StoreError> {
        self.inner.drained().await
    }
    async fn keep_artifact(&self, row: ArtifactRow) -> Result<(), StoreError> {
        self.inner.keep_artifact(row).await
    }
    async fn artifacts(&self, run: &RunId) -> Result<Vec<ArtifactRow>, StoreError> {
        if take(&self.damaged_artifacts) {
            return Err(StoreError::Corrupt("on request".to_owned()));
        }
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
        self.inner.write_logs(pieces).await
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
    async fn close(&self) {}
}
