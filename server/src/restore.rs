//! A store made of a backup. What was under way at its time may have gone on since, on agents that know it: nothing of it
//! is offered again. Its runs end, each with the reason, and whoever wants repeats them.

use std::path::Path;

use engine::{Context, give_up};
use types::RunId;

use crate::{
    clock::{Clock, entropy},
    runs::{batch, load},
    store::{
        Append, RunFilter, SharedStore, StoreError,
        sqlite::{SqliteOptions, SqliteStore, backup},
    },
};

/// Runs looked at in one read.
const PAGE: u32 = 500;

/// What became of the runs that were under way.
#[derive(Debug, Default)]
pub struct Restored {
    /// Those that were ended.
    pub ended: Vec<RunId>,
    /// Those that this version cannot read, and why; they are as they were.
    pub unread: Vec<(RunId, String)>,
}

/// Makes a store in `dir` of the backup in `from`.
///
/// # Errors
/// `dir` holds a store already, a file cannot be read or written, or the backup is damaged or of a newer version.
pub async fn restore(from: &Path, dir: &Path) -> Result<Restored, StoreError> {
    backup::restore(from, dir).await?;
    let store: SharedStore = std::sync::Arc::new(SqliteStore::open(dir, SqliteOptions::default()).await?);
    let restored = end_live(&store).await;
    store.close().await;
    restored
}

async fn end_live(store: &SharedStore) -> Result<Restored, StoreError> {
    let clock = Clock::start();
    let (mut restored, mut before) = (Restored::default(), None);
    loop {
        let filter = RunFilter {
            limit: PAGE,
            before: before.clone(),
            live: true,
            ..RunFilter::default()
        };
        let page = store.runs(&filter).await?;
        let Some((last, _)) = page.last() else {
            return Ok(restored);
        };
        before = Some(last.clone());
        for (id, _) in page {
            let context = Context {
                now: clock.now(),
                entropy: u64::from(entropy()[0]),
            };
            match end(store, &id, context).await {
                Ok(()) => restored.ended.push(id),
                Err(StoreError::Corrupt(why)) => restored.unread.push((id, why)),
                Err(error) => return Err(error),
            }
        }
    }
}

async fn end(store: &SharedStore, id: &RunId, context: Context) -> Result<(), StoreError> {
    let gone = || StoreError::Corrupt("it has no history".to_owned());
    let mut run = load(store, id).await?.ok_or_else(gone)?;
    let before = run.seq;
    let why = "restored from a backup: it was under way then, and what ran since is not known here; look at what it did, \
               then run it again from where that is safe";
    let decision = give_up(&mut run, why, context);
    let stream = batch::stream(&run, before, &decision.events, context.now);
    let append = Append {
        streams: vec![stream],
        ..Append::default()
    };
    store.append(append).await.map(drop)
}
