//! Where the bytes of artifacts are: in an object store, by their own sum, so that nobody can put other bytes in their
//! place unseen. What is on its way lies beside the store of histories until it is whole.

mod claims;
mod incoming;
mod objects;
mod open;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use object_store::ObjectStore;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use types::{LeaseToken, RunId};

pub(crate) use claims::held;
pub(crate) use incoming::{Incoming, Wrong};
pub(crate) use objects::{Bytes, ReadError};
pub use open::{ArtifactsError, Credentials, Place};

/// How long one that takes the place of another's stream waits for its end.
const TURN: Duration = Duration::from_secs(30);

/// The artifacts of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifacts {
    objects: Arc<dyn ObjectStore>,
    /// For people.
    place: String,
    incoming: PathBuf,
    busy: Arc<Mutex<HashMap<String, Arc<Turn>>>>,
}

/// One artifact that is being sent.
#[derive(Debug)]
struct Turn {
    run: RunId,
    bytes: u64,
    /// The one that has the turn gives it up.
    yields: Mutex<CancellationToken>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The right to write one artifact.
pub(crate) struct Writing {
    all: Artifacts,
    key: String,
    /// Another stream wants to go on with it.
    pub(crate) yielded: CancellationToken,
    _turn: OwnedMutexGuard<()>,
}

impl Artifacts {
    /// Takes the turn of one artifact: a stream whose agent is gone must not hold up the one that it opens next.
    /// None when the other one does not end.
    pub(crate) async fn turn(
        &self,
        token: &LeaseToken,
        name: &str,
        run: &RunId,
        bytes: u64,
    ) -> Option<Writing> {
        let key = format!("{token}.{name}");
        let yielded = CancellationToken::new();
        let turn = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = busy.entry(key.clone()).or_insert_with(|| {
                Arc::new(Turn {
                    run: run.clone(),
                    bytes,
                    yields: Mutex::default(),
                    turn: Arc::default(),
                })
            });
            let mut yields = turn.yields.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *yields, yielded.clone()).cancel();
            Arc::clone(&turn.turn)
        };
        let turn = tokio::time::timeout(TURN, turn.lock_owned()).await.ok()?;
        Some(Writing {
            all: self.clone(),
            key,
            yielded,
            _turn: turn,
        })
    }

    /// What is on its way of a run, one artifact aside.
    pub(crate) fn on_the_way(&self, run: &RunId, but: &Writing) -> u64 {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let others = busy
            .iter()
            .filter(|(key, turn)| **key != but.key && turn.run == *run);
        others.map(|(_, turn)| turn.bytes).sum()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut busy = self.all.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for the turn has the entry still.
        if busy
            .get(&self.key)
            .is_some_and(|turn| Arc::strong_count(&turn.turn) <= 2)
        {
            busy.remove(&self.key);
        }
    }
}
