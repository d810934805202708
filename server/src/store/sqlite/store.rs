//! The trait, by the parts that do it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::sync::watch;
use types::{AgentId, AlertId, AttemptKey, IncidentId, RunId, Timestamp};

use super::{
    AgentRow, Append, ArtifactRow, Claim, Drained, Evidence, IncidentFilter, IncidentHead, LogPiece,
    LogStream, RunFilter, RunHead, SqliteStore, Store, StoreError, StoredEvent, StoredObject, StreamId,
    WorkflowRow,
    artifacts::{self, KeepArtifact, ObjectRemoved},
    error::store_error,
    heads, logs, read,
    registry::{self, AgentSession, Drain, PutWorkflow, Undrain},
};

/// The answer of a read, or why there is none.
fn told<T>(answer: Result<T, sqlx::Error>) -> Result<T, StoreError> {
    answer.map_err(|error| store_error(&error))
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, append: Append) -> Result<u64, StoreError> {
        self.history.writer.write(append).await
    }

    fn committed(&self) -> watch::Receiver<u64> {
        self.history.writer.published()
    }

    async fn events(
        &self,
        stream: &StreamId,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        told(read::events(&self.history.readers, stream, after_seq, limit).await)
    }

    async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        told(read::events_after(&self.history.readers, cursor, limit).await)
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunHead>, StoreError> {
        told(heads::run(&self.history.readers, id).await)
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<(RunId, RunHead)>, StoreError> {
        told(heads::runs(&self.history.readers, filter).await)
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<IncidentHead>, StoreError> {
        let query = sqlx::query(heads::INCIDENT).bind(id.as_str());
        let found = told(heads::incident(&self.history.readers, query).await)?;
        Ok(found.map(|(_, head)| head))
    }

    async fn incidents(
        &self,
        filter: &IncidentFilter,
    ) -> Result<Vec<(IncidentId, IncidentHead)>, StoreError> {
        told(heads::incidents(&self.history.readers, filter).await)
    }

    async fn incident_by_key(
        &self,
        dedupe_key: &str,
    ) -> Result<Option<(IncidentId, IncidentHead)>, StoreError> {
        let query = sqlx::query(heads::INCIDENT_BY_KEY).bind(dedupe_key);
        told(heads::incident(&self.history.readers, query).await)
    }

    async fn claim(&self, scope: &str, key: &str, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        told(read::claim(&self.history.readers, scope, key, now).await)
    }

    async fn evidence(&self, alert: &AlertId) -> Result<Option<Evidence>, StoreError> {
        told(read::evidence(&self.history.readers, alert).await)
    }

    async fn put_workflow(&self, row: WorkflowRow) -> Result<bool, StoreError> {
        self.history.writer.write(PutWorkflow(row)).await
    }

    async fn workflow(&self, name: &str, version: Option<&str>) -> Result<Option<WorkflowRow>, StoreError> {
        told(registry::workflow(&self.history.readers, name, version).await)
    }

    async fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError> {
        told(registry::workflows(&self.history.readers).await)
    }

    async fn agent_session(&self, agent: AgentRow, dial: u64) -> Result<Option<u64>, StoreError> {
        self.history.writer.write(AgentSession { agent, dial }).await
    }

    async fn drain(&self, drained: Drained) -> Result<(), StoreError> {
        self.history.writer.write(Drain(drained)).await
    }

    async fn undrain(&self, agent: &AgentId) -> Result<(), StoreError> {
        self.history.writer.write(Undrain(agent.clone())).await
    }

    async fn drained(&self) -> Result<Vec<Drained>, StoreError> {
        told(registry::drained(&self.history.readers).await)
    }

    async fn keep_artifact(&self, row: ArtifactRow) -> Result<(), StoreError> {
        self.history.writer.write(KeepArtifact(row)).await
    }

    async fn artifacts(&self, run: &RunId) -> Result<Vec<ArtifactRow>, StoreError> {
        told(artifacts::of_run(&self.history.readers, run).await)
    }

    async fn objects(
        &self,
        after: Option<&StoredObject>,
        limit: u32,
    ) -> Result<Vec<StoredObject>, StoreError> {
        told(artifacts::objects(&self.history.readers, after, limit).await)
    }

    async fn object_bytes(&self) -> Result<u64, StoreError> {
        told(artifacts::object_bytes(&self.history.readers).await)
    }

    async fn object_removed(&self, sha256: &str, at: Timestamp) -> Result<(), StoreError> {
        let removed = ObjectRemoved(sha256.to_owned(), at);
        self.history.writer.write(removed).await
    }

    async fn removed(&self, sums: &[String]) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        told(artifacts::removed(&self.history.readers, sums).await)
    }

    async fn broken(&self) -> String {
        self.flushes.failed().await
    }

    fn directory(&self) -> Option<std::path::PathBuf> {
        Some(self.directory.clone())
    }

    async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        told(registry::agents(&self.history.readers).await)
    }

    async fn write_logs(&self, pieces: Vec<LogPiece>) -> Result<Vec<u64>, StoreError> {
        self.logs.writer.write(logs::WriteLogs(pieces)).await
    }

    async fn read_log(
        &self,
        attempt: &AttemptKey,
        stream: LogStream,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Vec<LogPiece>, StoreError> {
        told(logs::read(&self.logs.readers, attempt, stream, offset, max_bytes).await)
    }

    fn logs_committed(&self) -> watch::Receiver<u64> {
        self.logs.writer.published()
    }

    async fn close(&self) {
        tokio::join!(self.history.close(), self.logs.close());
    }
}
