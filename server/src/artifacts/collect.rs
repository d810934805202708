//! Bytes of artifacts that go by age and size, when the operator has bounded them. The histories tell still what they were.
//! Idempotent: what is left by a pass that broke off is found by the next.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Artifacts, Keep, sweep::read};
use crate::{
    Core,
    api::artifacts_of,
    store::{RunFilter, StoreError, StoredObject},
};

/// Entries of one read.
const PAGE: u32 = 500;

/// What is done with bytes, by their sum: what is stored anew is not removed meanwhile.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    now: HashMap<String, Use>,
    /// Stored since the last pass began: what that pass has read of them is out of date.
    fresh: HashSet<String>,
}

#[derive(Debug)]
enum Use {
    /// By so many.
    Storing(usize),
    Removing,
}

/// Ends a use when it is dropped.
pub(crate) struct Used<'a> {
    uses: &'a Uses,
    sha256: String,
}

impl Artifacts {
    /// What is put from now until this is dropped is not removed; none while it is. To be held until the store of histories
    /// knows that it is there.
    pub(crate) fn storing(&self, sha256: &str) -> Option<Used<'_>> {
        self.uses.storing(sha256)
    }
}

impl Uses {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass reads from now on.
    fn begin(&self) {
        let Known { now, fresh } = &mut *self.known();
        fresh.retain(|sha256| now.contains_key(sha256));
    }

    /// None while they are removed.
    fn storing(&self, sha256: &str) -> Option<Used<'_>> {
        let mut known = self.known();
        match known.now.entry(sha256.to_owned()).or_insert(Use::Storing(0)) {
            Use::Storing(count) => *count += 1,
            Use::Removing => return None,
        }
        known.fresh.insert(sha256.to_owned());
        drop(known);
        Some(self.used(sha256))
    }

    /// None while they are stored, when they were stored since the pass began, or while another removes them.
    fn removing(&self, sha256: &str) -> Option<Used<'_>> {
        let mut known = self.known();
        if known.now.contains_key(sha256) || known.fresh.contains(sha256) {
            return None;
        }
        known.now.insert(sha256.to_owned(), Use::Removing);
        drop(known);
        Some(self.used(sha256))
    }

    fn used(&self, sha256: &str) -> Used<'_> {
        Used {
            uses: self,
            sha256: sha256.to_owned(),
        }
    }
}

impl Drop for Used<'_> {
    fn drop(&mut self) {
        let now = &mut self.uses.known().now;
        if let Some(Use::Storing(count @ 2..)) = now.get_mut(&self.sha256) {
            *count -= 1;
        } else {
            now.remove(&self.sha256);
        }
    }
}

/// What came of one removal.
enum Removal {
    Done,
    /// It is in use.
    Kept,
    /// The pass is over: the artifact store refuses, or this server stops.
    Over,
}

/// Removes what is too old, and what is too much from the oldest on; never what a live run left or was given.
pub(super) async fn collect(core: &Core, artifacts: &Artifacts) -> Result<(), StoreError> {
    artifacts.uses.begin();
    let Keep { age, bytes: most } = artifacts.keep;
    if age.is_none() && most.is_none() {
        return Ok(());
    }
    let mut all = core.store.object_bytes().await?;
    let (mut removed, mut freed) = (0_u64, 0_u64);
    let mut last: Option<StoredObject> = None;
    let due = |object: &StoredObject, all: u64| {
        let old = core.clock.now().since(object.at);
        age.is_some_and(|age| u128::from(old) > age.as_millis()) || most.is_some_and(|most| all > most)
    };
    'pages: loop {
        let page = core.store.objects(last.as_ref(), PAGE).await?;
        if !page.first().is_some_and(|object| due(object, all)) {
            break;
        }
        // After the page: what live runs were given meanwhile is in it.
        let live = of_live_runs(core).await?;
        for object in &page {
            if !due(object, all) {
                break 'pages;
            }
            if live.contains(&object.sha256) {
                continue;
            }
            match remove(core, artifacts, object).await? {
                Removal::Done => {
                    all = all.saturating_sub(object.bytes);
                    removed += 1;
                    freed += object.bytes;
                }
                Removal::Kept => {}
                Removal::Over => break 'pages,
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
        last = page.into_iter().next_back();
    }
    if removed > 0 {
        tracing::info!(
            removed,
            bytes = freed,
            "artifacts were removed by age and size; the histories keep what they were"
        );
    }
    Ok(())
}

/// The artifact store first: what breaks off between is removed, and told, by the next pass.
async fn remove(core: &Core, artifacts: &Artifacts, object: &StoredObject) -> Result<Removal, StoreError> {
    let Some(_removing) = artifacts.uses.removing(&object.sha256) else {
        return Ok(Removal::Kept);
    };
    let deleted = tokio::select! {
        deleted = artifacts.delete(&object.sha256) => deleted,
        () = core.shutdown.cancelled() => return Ok(Removal::Over),
    };
    if let Err(error) = deleted {
        tracing::error!(
            place = artifacts.place(), sha256 = object.sha256, %error,
            "an artifact cannot be removed: it and the rest stay until the next pass"
        );
        return Ok(Removal::Over);
    }
    core.store
        .object_removed(&object.sha256, core.clock.now())
        .await?;
    core.meter.artifact_removed(object.bytes);
    Ok(Removal::Done)
}

/// The sums of all that live runs left so far, or took over from earlier ones.
async fn of_live_runs(core: &Core) -> Result<BTreeSet<String>, StoreError> {
    let mut sums = BTreeSet::new();
    let mut filter = RunFilter {
        limit: PAGE,
        live: true,
        ..RunFilter::default()
    };
    loop {
        let page = core.store.runs(&filter).await?;
        for (run, _) in &page {
            match read(core, run).await {
                Ok(state) => {
                    let state = state.iter().flat_map(artifacts_of);
                    sums.extend(state.map(|one| one.sha256));
                }
                // Nobody goes on with it: what it left is in the rows.
                Err(StoreError::Corrupt(error)) => {
                    tracing::warn!(%run, error, "what a run that cannot be read took over is not known");
                }
                Err(error) => return Err(error),
            }
            let rows = core.store.artifacts(run).await?;
            sums.extend(rows.into_iter().map(|row| row.artifact.sha256));
        }
        if page.len() < PAGE as usize {
            return Ok(sums);
        }
        filter.before = page.into_iter().next_back().map(|(run, _)| run);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::Uses;

    #[test]
    fn what_is_stored_is_not_removed_meanwhile() {
        let uses = Uses::default();
        let (first, second) = (uses.storing("a").unwrap(), uses.storing("a").unwrap());
        assert!(uses.removing("a").is_none() && uses.removing("b").is_some());
        drop(first);
        assert!(uses.removing("a").is_none());
        drop(second);
        assert!(
            uses.removing("a").is_none(),
            "what the pass has read of it is out of date"
        );
        uses.begin();
        let removing = uses.removing("a").unwrap();
        assert!(uses.storing("a").is_none() && uses.removing("a").is_none());
        drop(removing);
        let stored = uses.storing("a").unwrap();
        uses.begin();
        drop(stored);
        assert!(
            uses.removing("a").is_none(),
            "it was being stored as the pass began"
        );
        assert!(uses.known().now.is_empty());
    }
}
