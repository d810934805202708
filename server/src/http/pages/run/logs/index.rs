//! Where the rows of the logs begin that somebody looks at: built in one pass, then grown with the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;
use tonic::Status;
use types::AttemptKey;

use super::Chosen;
use crate::{
    Core,
    store::{LogEnd, LogStream},
};
use ::pages::log::{Index, Mark, Search};

/// Logs that are kept; each takes at most a few MiB, for a mark every so many rows of the longest log.
const KEPT: usize = 16;
/// Passes over whole logs at once.
const PASSES: usize = 2;

type Kept = Arc<tokio::sync::Mutex<Pass>>;

/// What is known of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Known {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) end: LogEnd,
}

#[derive(Default)]
struct Pass {
    index: Index,
    end: LogEnd,
}

/// The last logs that were looked at.
pub(in super::super) struct Logs {
    kept: Mutex<VecDeque<((AttemptKey, LogStream), Kept)>>,
    passes: Semaphore,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            passes: Semaphore::new(PASSES),
        }
    }
}

impl Logs {
    /// What is there by now.
    pub(super) async fn known(&self, core: &Core, chosen: &Chosen) -> Result<Known, Status> {
        self.with(core, chosen, |pass| Known {
            rows: pass.index.rows(),
            bytes: pass.index.end(),
            lost: pass.index.lost(),
            end: pass.end,
        })
        .await
    }

    /// Where to begin to read for a row.
    pub(super) async fn mark(&self, core: &Core, chosen: &Chosen, row: u64) -> Result<Mark, Status> {
        self.with(core, chosen, |pass| pass.index.before(row)).await
    }

    async fn with<T>(
        &self,
        core: &Core,
        chosen: &Chosen,
        look: impl FnOnce(&Pass) -> T,
    ) -> Result<T, Status> {
        let kept = self.kept(chosen);
        let mut pass = kept.lock().await;
        if !pass.end.is_end() {
            let _turn = self.passes.acquire().await;
            let Pass { index, end } = &mut *pass;
            let from = index.end();
            *end = chosen
                .read(core, from, |piece| {
                    index.feed(piece);
                    true
                })
                .await?;
        }
        Ok(look(&pass))
    }

    /// The rows that hold a text, at most `most` of them, and how many there are in all.
    pub(super) async fn search(
        &self,
        core: &Core,
        chosen: &Chosen,
        wanted: &str,
        most: usize,
    ) -> Result<(Vec<u64>, u64), Status> {
        let _turn = self.passes.acquire().await;
        let mut search = Search::new(wanted, most);
        chosen
            .read(core, 0, |piece| {
                search.feed(piece);
                true
            })
            .await?;
        Ok(search.finish())
    }

    fn kept(&self, chosen: &Chosen) -> Kept {
        let key = (chosen.key.clone(), chosen.stream);
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all
            .iter()
            .position(|(kept, _)| *kept == key)
            .and_then(|at| all.remove(at));
        let (key, kept) = found.unwrap_or_else(|| (key, Kept::default()));
        all.truncate(KEPT - 1);
        all.push_front((key, Arc::clone(&kept)));
        kept
    }
}
