//! The runs that somebody looks at, folded: a look at a run of 10,000 steps reads what happened since the last look, not
//! all of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use engine::Run;
use tonic::Status;
use types::RunId;

use crate::{Core, api::errors, runs::advance};

/// Runs that are kept.
const KEPT: usize = 8;

type Kept = Arc<tokio::sync::Mutex<Option<Run>>>;

/// The last runs that were looked at.
#[derive(Default)]
pub(super) struct Folded(Mutex<VecDeque<(RunId, Kept)>>);

impl Folded {
    /// Looks at a run as it is now.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown run; what the store says.
    pub(super) async fn look<T>(
        &self,
        core: &Core,
        id: &RunId,
        look: impl FnOnce(&Run) -> T,
    ) -> Result<T, Status> {
        let kept = self.kept(id);
        let mut run = kept.lock().await;
        if let Err(error) = advance(&core.store, id, &mut run).await {
            // What was folded halfway is not kept.
            *run = None;
            return Err(errors::store_status(&error));
        }
        match run.as_ref() {
            Some(run) => Ok(look(run)),
            None => {
                drop(run);
                self.forget(id);
                Err(errors::no_run(id))
            }
        }
    }

    fn kept(&self, id: &RunId) -> Kept {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all
            .iter()
            .position(|(kept, _)| kept == id)
            .and_then(|at| all.remove(at));
        let (id, kept) = found.unwrap_or_else(|| (id.clone(), Kept::default()));
        all.truncate(KEPT - 1);
        all.push_front((id, Arc::clone(&kept)));
        kept
    }

    /// Addresses of runs that do not exist push out no others.
    fn forget(&self, id: &RunId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(kept, _)| kept != id);
    }
}
