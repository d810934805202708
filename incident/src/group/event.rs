//! What happens to an incident, and its stored form: versioned JSON.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::{Alert, AlertId, IncidentId, RunId, Timestamp};

use crate::Delivery;

/// The version that this build writes, for every kind.
const VERSION: u32 = 1;

/// One event of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentEvent {
    /// When it was decided, by the server's clock.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum What {
    /// The first alert of its key. An alert that is resolved already opens an incident that is over.
    Opened {
        /// The incident's id.
        incident: IncidentId,
        /// The alert's id.
        alert_id: AlertId,
        /// What makes it a repeat.
        delivery: Delivery,
        /// The alert.
        alert: Alert,
    },
    /// Another alert of the same key while the incident is open: another state (no data), say.
    AlertJoined {
        /// The alert's id.
        alert_id: AlertId,
        /// What makes it a repeat.
        delivery: Delivery,
        /// The alert.
        alert: Alert,
    },
    /// The same delivery again: only counted. It answers with the ids of the first.
    AlertRepeated {
        /// The first delivery's alert.
        alert_id: AlertId,
    },
    /// The source says that it is over.
    Recovered {
        /// The alert's id.
        alert_id: AlertId,
        /// What makes it a repeat.
        delivery: Delivery,
        /// The alert.
        alert: Alert,
    },
    /// It fires again after it was over.
    Reopened {
        /// The alert's id.
        alert_id: AlertId,
        /// What makes it a repeat.
        delivery: Delivery,
        /// The alert.
        alert: Alert,
    },
    /// A workflow was started for an alert.
    RunStarted {
        /// The alert that started it.
        alert_id: AlertId,
        /// The run.
        #[serde(flatten)]
        run: RunRef,
    },
    /// A workflow that is bound to an alert was not started for it.
    RunRefused {
        /// The alert that would have started it.
        alert_id: AlertId,
        /// What was not started, and why.
        #[serde(flatten)]
        refused: RefusedRun,
    },
}

impl What {
    /// The alert that it delivered first; a repeat and a run deliver none.
    #[must_use]
    pub const fn delivered(&self) -> Option<&AlertId> {
        match self {
            Self::Opened { alert_id, .. }
            | Self::AlertJoined { alert_id, .. }
            | Self::Recovered { alert_id, .. }
            | Self::Reopened { alert_id, .. } => Some(alert_id),
            Self::AlertRepeated { .. } | Self::RunStarted { .. } | Self::RunRefused { .. } => None,
        }
    }
}

/// A run that an alert started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRef {
    /// The run.
    pub run: RunId,
    /// Its workflow's name.
    pub workflow: String,
}

/// A workflow that an alert could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRun {
    /// Its name.
    pub workflow: String,
    /// Why, for people.
    pub why: String,
}

/// An event as it is stored: `(kind, version, body)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The kind, `opened`, ….
    pub kind: String,
    /// The version of the body.
    pub version: u32,
    /// The body, the instant included as `at`.
    pub body: Value,
}

/// Why a stored event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// A kind of a newer version.
    UnknownKind(String),
    /// A body of a newer version.
    NewerVersion {
        /// The kind.
        kind: String,
        /// Its version.
        version: u32,
    },
    /// The body does not fit its kind and version.
    Malformed {
        /// The kind.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(
                f,
                "incident event of unknown kind {kind:?}: written by a newer version"
            ),
            Self::NewerVersion { kind, version } => {
                write!(
                    f,
                    "incident event {kind:?} has version {version}; this build reads up to {VERSION}"
                )
            }
            Self::Malformed { kind, reason } => write!(f, "incident event {kind:?} is malformed: {reason}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl What {
    const KINDS: [&'static str; 7] = [
        "opened",
        "alert_joined",
        "alert_repeated",
        "recovered",
        "reopened",
        "run_started",
        "run_refused",
    ];

    /// The kind's name in the store.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::AlertJoined { .. } => "alert_joined",
            Self::AlertRepeated { .. } => "alert_repeated",
            Self::Recovered { .. } => "recovered",
            Self::Reopened { .. } => "reopened",
            Self::RunStarted { .. } => "run_started",
            Self::RunRefused { .. } => "run_refused",
        }
    }
}

impl IncidentEvent {
    /// The stored form.
    ///
    /// # Errors
    /// [`LoadError::Malformed`] when the event has no JSON form, which its types rule out.
    pub fn store(&self) -> Result<Stored, LoadError> {
        let kind = self.what.kind();
        let malformed = |reason: String| LoadError::Malformed {
            kind: kind.to_owned(),
            reason,
        };
        let mut whole = serde_json::to_value(&self.what).map_err(|error| malformed(error.to_string()))?;
        let mut body = whole
            .get_mut("body")
            .map(Value::take)
            .ok_or_else(|| malformed("no body".to_owned()))?;
        body["at"] = Value::from(self.at.unix_ms());
        Ok(Stored {
            kind: kind.to_owned(),
            version: VERSION,
            body,
        })
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// What is newer than this build, or damaged.
    pub fn load(stored: &Stored) -> Result<Self, LoadError> {
        let kind = stored.kind.clone();
        if !What::KINDS.contains(&kind.as_str()) {
            return Err(LoadError::UnknownKind(kind));
        }
        if stored.version != VERSION {
            return Err(LoadError::NewerVersion {
                kind,
                version: stored.version,
            });
        }
        let malformed = |reason: String| LoadError::Malformed {
            kind: kind.clone(),
            reason,
        };
        let at = stored
            .body
            .get("at")
            .and_then(Value::as_i64)
            .ok_or_else(|| malformed("no instant".to_owned()))?;
        let whole = serde_json::json!({ "kind": kind, "body": stored.body });
        let what = serde_json::from_value(whole).map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            at: Timestamp::from_unix_ms(at),
            what,
        })
    }
}
