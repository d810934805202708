//! Where histories live: one table of events in streams, the heads that are folded from them, keys that were used,
//! definitions, agents and logs. The trait stands beside its consumer; SQLite and the in-memory model pass one
//! conformance suite.

mod check;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod conformance;
mod log_piece;
pub mod memory;
pub mod sqlite;

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;
use types::{AgentId, Artifact, AttemptKey, IncidentId, Labels, LeaseToken, RunId, RunOutcome, Timestamp};

/// The stream an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// A run's history.
    Run(RunId),
    /// An incident's history.
    Incident(IncidentId),
}

impl StreamId {
    /// The id of the run or incident; its prefix tells which.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Run(id) => id.as_str(),
            Self::Incident(id) => id.as_str(),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event before it is stored. The body is the versioned JSON of `engine::history` or `incident`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// When it was decided.
    pub at: Timestamp,
    /// `step.ended`, …
    pub kind: String,
    /// The form of the body.
    pub version: u32,
    /// JSON text.
    pub body: String,
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream, from 1, without gaps.
    pub seq: u64,
    /// Its place in the server-wide order.
    pub cursor: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Its kind.
    pub kind: String,
    /// The form of the body.
    pub version: u32,
    /// JSON text.
    pub body: String,
}

/// What lists show of a run; folded from its events and written with them. A cache: a fold can make it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunHead {
    /// The workflow's name.
    pub workflow: String,
    /// None while it is live.
    pub outcome: Option<RunOutcome>,
    /// Why it is not succeeded.
    pub reasons: Vec<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its incident.
    pub incident: Option<IncidentId>,
}

/// What lists show of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentHead {
    /// The key under which further alerts join it.
    pub dedupe_key: String,
    /// Whether it is open.
    pub open: bool,
    /// Its title.
    pub title: String,
    /// Its severity's word.
    pub severity: String,
    /// Its source.
    pub source: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Alerts that it holds.
    pub alerts: u32,
    /// Its runs, oldest first.
    pub runs: Vec<RunId>,
}

/// The head that goes with an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Of a run.
    Run(RunHead),
    /// Of an incident.
    Incident(IncidentHead),
}

/// Events for one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppend {
    /// Which; the kind of `head` must fit.
    pub stream: StreamId,
    /// The seq of its last event as the writer knows it; 0 for a new stream.
    pub expected_seq: u64,
    /// At least one.
    pub events: Vec<NewEvent>,
    /// The head after them.
    pub head: Head,
}

/// A used key and the answer that it got: idempotency keys, webhook deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What kind of key: `start`, `webhook:datadog`, …
    pub scope: String,
    /// The key.
    pub key: String,
    /// A hash of the request.
    pub request_hash: String,
    /// The answer to replay, as JSON.
    pub answer: String,
    /// When it was claimed.
    pub at: Timestamp,
    /// From when on it counts as free.
    pub expires_at: Timestamp,
}

/// A raw delivery, kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// `alr_…`
    pub alert: types::AlertId,
    /// The route it came by.
    pub source: String,
    /// When.
    pub received_at: Timestamp,
    /// Its content type.
    pub content_type: String,
    /// The body, unchanged.
    pub body: Vec<u8>,
}

/// One transaction: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Append {
    /// Events, by stream.
    pub streams: Vec<StreamAppend>,
    /// Keys that must be free.
    pub claims: Vec<Claim>,
    /// Raw deliveries.
    pub evidence: Vec<Evidence>,
}

/// What a store can answer instead of an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another writer was first: decide again.
    #[error("stream {stream:?} is at {actual}, not at {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the writer expected.
        expected: u64,
        /// What is.
        actual: u64,
    },
    /// The key is in use.
    #[error("key {:?} of {:?} is in use", .0.key, .0.scope)]
    Claimed(Box<Claim>),
    /// It cannot be done now: disk full, locked, stopping. Nothing was acknowledged; after a flush that failed it is
    /// unknown whether anything was written, so read again before deciding.
    #[error("the store cannot do this now: {0}")]
    Unavailable(String),
    /// What was asked makes no sense: an append without events, a head of another kind. Nothing was written.
    #[error("not a valid write: {0}")]
    Invalid(String),
    /// What is stored cannot be read.
    #[error("the store holds what this version cannot read: {0}")]
    Corrupt(String),
}

/// A kept definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// The workflow's name.
    pub name: String,
    /// SHA-256 of the source, hex.
    pub version: String,
    /// The source.
    pub source: String,
    /// The plan as JSON.
    pub plan: String,
    /// When it became the newest.
    pub stored_at: Timestamp,
}

/// An agent as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its labels.
    pub labels: Labels,
    /// The rest of what it said of itself, as JSON.
    pub facts: String,
    /// When its last session began.
    pub seen_at: Timestamp,
}

/// That an agent is offered nothing new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// Which.
    pub agent: AgentId,
    /// Who wanted it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What the artifact store holds of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRow {
    /// Its run.
    pub run: RunId,
    /// The lease under which it came.
    pub token: LeaseToken,
    /// What.
    pub artifact: Artifact,
    /// When it was whole.
    pub at: Timestamp,
}

/// Bytes that the artifact store holds, however many attempts left them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// When they were stored last.
    pub at: Timestamp,
    /// Their sum.
    pub sha256: String,
    /// How many.
    pub bytes: u64,
}

/// Which incidents to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentFilter {
    /// At most this many.
    pub limit: u32,
    /// Older than this id.
    pub before: Option<IncidentId>,
    /// Only open ones, or only those that are over.
    pub open: Option<bool>,
}

/// Which stream of an attempt's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Standard output of the step's service with this number, from 0, by name in order.
    ServiceOut(u8),
    /// Standard error of it.
    ServiceErr(u8),
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Whose.
    pub attempt: AttemptKey,
    /// Which stream.
    pub stream: LogStream,
    /// Of the first byte.
    pub offset: u64,
    /// The bytes.
    pub data: Vec<u8>,
    /// Bytes lost right before `offset`; they count as a gap that is known.
    pub lost: u64,
    /// What follows.
    pub end: LogEnd,
}

/// What follows a piece of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogEnd {
    /// More may.
    #[default]
    Open,
    /// Nothing.
    Here,
    /// Nothing, and what wrote the log was killed: bytes may be missing here, and nobody counted them.
    Unknown,
}

impl LogEnd {
    /// As an agent says it.
    pub(crate) const fn told(end: bool, unknown: bool) -> Self {
        match (end, unknown) {
            (false, _) => Self::Open,
            (true, false) => Self::Here,
            (true, true) => Self::Unknown,
        }
    }

    /// Nothing follows.
    pub(crate) const fn is_end(self) -> bool {
        match self {
            Self::Open => false,
            Self::Here | Self::Unknown => true,
        }
    }
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// At most this many.
    pub limit: u32,
    /// Older than this id.
    pub before: Option<RunId>,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// Only live ones.
    pub live: bool,
    /// Only with one of these outcomes; empty for all.
    pub outcomes: Vec<RunOutcome>,
    /// Only of this incident.
    pub incident: Option<IncidentId>,
    /// Only started then or later.
    pub started_from: Option<Timestamp>,
    /// Only started earlier than then.
    pub started_before: Option<Timestamp>,
}

impl RunFilter {
    /// Whether it asks for more than a workflow and what is live, which have indices of their own.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.outcomes.is_empty()
            || self.incident.is_some()
            || self.started_from.is_some()
            || self.started_before.is_some()
    }
}

/// Bodies of events that one read answers, about: the event that goes beyond is its last.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// Whether a read of at most `limit` events was cut, so that more may follow it at once.
pub(crate) fn is_cut(events: &[StoredEvent], limit: u32) -> bool {
    events.len() as u64 >= u64::from(limit)
        || events.iter().map(|event| event.body.len()).sum::<usize>() >= READ_BYTES
}

/// A store. Each method that writes has its bytes on disk (fsync) before it answers.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// One transaction. Answers the cursor of its last event (0 without events). `Conflict`, `Claimed` and `Invalid`
    /// wrote nothing; claims are checked before streams, so that a repeated request gets its old answer. Evidence of an
    /// alert that has some already is left as it was. Many callers at once share one flush (group commit).
    async fn append(&self, append: Append) -> Result<u64, StoreError>;
    /// The cursor of the last committed event; changes after the commit, so that a reader that sees it can read it.
    fn committed(&self) -> watch::Receiver<u64>;
    /// Events of a stream after a seq, in order, at most `limit` and about 8 MiB; [`is_cut`] tells whether to read on.
    async fn events(
        &self,
        stream: &StreamId,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;
    /// Events of all streams after a cursor, in order, within the same bounds.
    async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;
    /// A run's head.
    async fn run(&self, id: &RunId) -> Result<Option<RunHead>, StoreError>;
    /// Runs, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<(RunId, RunHead)>, StoreError>;
    /// An incident's head.
    async fn incident(&self, id: &IncidentId) -> Result<Option<IncidentHead>, StoreError>;
    /// Incidents, newest first.
    async fn incidents(&self, filter: &IncidentFilter)
    -> Result<Vec<(IncidentId, IncidentHead)>, StoreError>;
    /// The newest incident (open or not) of a dedupe key.
    async fn incident_by_key(
        &self,
        dedupe_key: &str,
    ) -> Result<Option<(IncidentId, IncidentHead)>, StoreError>;
    /// A claim that has not expired. `now` is not before the latest write: what expired by then may be gone.
    async fn claim(&self, scope: &str, key: &str, now: Timestamp) -> Result<Option<Claim>, StoreError>;
    /// Raw evidence of an alert.
    async fn evidence(&self, alert: &types::AlertId) -> Result<Option<Evidence>, StoreError>;
    /// Keeps a definition as the newest of its name; false, with nothing changed, when that version already was.
    async fn put_workflow(&self, row: WorkflowRow) -> Result<bool, StoreError>;
    /// A definition; without a version the newest.
    async fn workflow(&self, name: &str, version: Option<&str>) -> Result<Option<WorkflowRow>, StoreError>;
    /// The newest definition of each name.
    async fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError>;
    /// Takes a Hello with its dial (`protocol::session::Gate`): a dial that is not above the highest taken so far changes
    /// nothing and answers that highest; otherwise the row and the dial are kept and the answer is none.
    async fn agent_session(&self, agent: AgentRow, dial: u64) -> Result<Option<u64>, StoreError>;
    /// Keeps that an agent is drained, in place of what was kept of it; a Hello does not change it.
    async fn drain(&self, drained: Drained) -> Result<(), StoreError>;
    /// Undoes it.
    async fn undrain(&self, agent: &AgentId) -> Result<(), StoreError>;
    /// The agents that are drained, by id.
    async fn drained(&self) -> Result<Vec<Drained>, StoreError>;
    /// Keeps that an artifact is stored, in place of what was kept under its lease and name.
    async fn keep_artifact(&self, row: ArtifactRow) -> Result<(), StoreError>;
    /// What is stored of a run's attempts, by lease and name.
    async fn artifacts(&self, run: &RunId) -> Result<Vec<ArtifactRow>, StoreError>;
    /// What the artifact store holds, what was stored longest ago first, behind `after`; at most `limit`.
    async fn objects(
        &self,
        after: Option<&StoredObject>,
        limit: u32,
    ) -> Result<Vec<StoredObject>, StoreError>;
    /// Bytes of all that the artifact store holds.
    async fn object_bytes(&self) -> Result<u64, StoreError>;
    /// Keeps that the artifact store has the bytes of this sum no longer, until an artifact of it is kept again.
    async fn object_removed(&self, sha256: &str, at: Timestamp) -> Result<(), StoreError>;
    /// When they were removed, of those of these sums that were.
    async fn removed(&self, sums: &[String]) -> Result<BTreeMap<String, Timestamp>, StoreError>;
    /// Where its files are; none when it has no files.
    fn directory(&self) -> Option<std::path::PathBuf> {
        None
    }
    /// Waits until it must not be used any more, and says why: the process that holds it must end.
    async fn broken(&self) -> String {
        std::future::pending().await
    }
    /// All agents by name.
    async fn agents(&self) -> Result<Vec<AgentRow>, StoreError>;
    /// Writes pieces of logs; answers, for each piece, the offset up to which its stream is now held.
    /// Overlap is idempotent; a piece beyond a gap that is not declared as lost is refused by answering the old offset,
    /// and so is one beyond the end of its stream.
    async fn write_logs(&self, pieces: Vec<LogPiece>) -> Result<Vec<u64>, StoreError>;
    /// Pieces of a stream from an offset on, in order, about `max_bytes` in all (at least one piece); a piece that begins
    /// before is cut. Reading at or beyond the end of an ended stream answers one empty piece with `end`; an empty answer
    /// means that nothing is there yet.
    async fn read_log(
        &self,
        attempt: &AttemptKey,
        stream: LogStream,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Vec<LogPiece>, StoreError>;
    /// Changes after each commit of logs.
    fn logs_committed(&self) -> watch::Receiver<u64>;
    /// Flushes what is pending and closes; later writes are `Unavailable`.
    async fn close(&self);
}

/// A store that is shared.
pub type SharedStore = Arc<dyn Store>;
