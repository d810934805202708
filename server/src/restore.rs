//! A store made of a backup. What was under way at its time may have gone on since, on agents that know it: nothing of it
//! is offered again. Its runs end, each with the reason, and whoever wants repeats them.

use std::{panic::AssertUnwindSafe, path::Path};

use engine::{Context, give_up};
use futures::FutureExt as _;
use types::RunId;

use crate::{
    clock::{Clock, entropy},
    runs::{batch, end_unread, load},
    store::{
        Append, RunFilter, SharedStore, StoreError,
        sqlite::{SqliteOptions, SqliteStore, backup},
    },
};

/// The end of such a run.
const WHY: &str = "restored from a backup: it was under way then, and what ran since is not known here; look at what it \
                   did, then run it again from where that is safe";
/// Runs looked at in one read.
const PAGE: u32 = 500;

/// What became of the runs that were under way.
#[derive(Debug, Default)]
pub struct Restored {
    /// Those that were ended.
    pub ended: Vec<RunId>,
    /// Those of them whose history this version cannot read, and why: they are ended by their last event alone.
    pub unread: Vec<(RunId, String)>,
}

/// Makes a store in `dir` of the backup in `from`.
///
/// # Errors
/// `dir` holds a store already, a file cannot be read or written, or the backup is damaged or of a newer version.
pub async fn restore(from: &Path, dir: &Path) -> Result<Restored, StoreError> {
    let half = backup::stage(from, dir).await?;
    let store: SharedStore = std::sync::Arc::new(SqliteStore::open(&half, SqliteOptions::default()).await?);
    let restored = end_live(&store).await;
    store.close().await;
    drop(store);
    let restored = restored?;
    // Only now is there a store: one with a run that is still under way could start it again.
    backup::publish(&half, dir)?;
    Ok(restored)
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
            let why = match AssertUnwindSafe(end(store, &id, context)).catch_unwind().await {
                Ok(Ok(())) => {
                    restored.ended.push(id);
                    continue;
                }
                Ok(Err(StoreError::Corrupt(why))) => why,
                Ok(Err(error)) => return Err(error),
                Err(_) => "a defect of this version; its panic stands above".to_owned(),
            };
            end_unread(store, &id, WHY, context.now).await?;
            restored.unread.push((id, why));
        }
    }
}

async fn end(store: &SharedStore, id: &RunId, context: Context) -> Result<(), StoreError> {
    let gone = || StoreError::Corrupt("it has no history".to_owned());
    let mut run = load(store, id).await?.ok_or_else(gone)?;
    let before = run.seq;
    let decision = give_up(&mut run, WHY, context);
    let stream = batch::stream(&run, before, &decision.events, context.now);
    let append = Append {
        streams: vec![stream],
        ..Append::default()
    };
    store.append(append).await.map(drop)
}
