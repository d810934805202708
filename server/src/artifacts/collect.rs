//! Bytes of artifacts that go by age and size, when the operator has bounded them. The histories tell still what they were.
//! Idempotent: what is left by a pass that broke off is found by the next.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use super::{Artifacts, Keep};
use crate::{
    Core,
    api::artifacts_of,
    runs::load,
    store::{RunFilter, StoreError, StoredObject},
};

/// Entries of one read.
const PAGE: u32 = 500;

/// What is done with bytes now, by their sum: what is stored anew is not removed meanwhile.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<String, Use>>);

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
    /// None while they are removed.
    fn storing(&self, sha256: &str) -> Option<Used<'_>> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.entry(sha256.to_owned()).or_insert(Use::Storing(0)) {
            Use::Storing(count) => *count += 1,
            Use::Removing => return None,
        }
        drop(uses);
        Some(self.used(sha256))
    }

    /// None while they are stored, or removed by another.
    fn removing(&self, sha256: &str) -> Option<Used<'_>> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.contains_key(sha256) {
            return None;
        }
        uses.insert(sha256.to_owned(), Use::Removing);
        drop(uses);
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
        let mut uses = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Use::Storing(count @ 2..)) = uses.get_mut(&self.sha256) {
            *count -= 1;
        } else {
            uses.remove(&self.sha256);
        }
    }
}

/// Removes what is too old, and what is too much from the oldest on; never what a live run left or was given.
pub(super) async fn collect(core: &Core, artifacts: &Artifacts) -> Result<(), StoreError> {
    let Keep { age, bytes: most } = artifacts.keep;
    if age.is_none() && most.is_none() {
        return Ok(());
    }
    let live = of_live_runs(core).await?;
    let mut all = core.store.object_bytes().await?;
    let (mut removed, mut freed) = (0_u64, 0_u64);
    let mut last: Option<StoredObject> = None;
    'pages: loop {
        let page = core.store.objects(last.as_ref(), PAGE).await?;
        for object in &page {
            let old = core.clock.now().since(object.at);
            let too_old = age.is_some_and(|age| u128::from(old) > age.as_millis());
            let too_much = most.is_some_and(|most| all > most);
            if !too_old && !too_much {
                break 'pages;
            }
            if !live.contains(&object.sha256) && remove(core, artifacts, object).await? {
                all = all.saturating_sub(object.bytes);
                removed += 1;
                freed += object.bytes;
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

/// The store first: what breaks off between is removed, and told, by the next pass.
async fn remove(core: &Core, artifacts: &Artifacts, object: &StoredObject) -> Result<bool, StoreError> {
    let Some(_removing) = artifacts.uses.removing(&object.sha256) else {
        return Ok(false);
    };
    if let Err(error) = artifacts.delete(&object.sha256).await {
        tracing::error!(place = artifacts.place(), sha256 = object.sha256, %error, "an artifact cannot be removed");
        return Ok(false);
    }
    core.store
        .object_removed(&object.sha256, core.clock.now())
        .await?;
    core.meter.artifact_removed(object.bytes);
    Ok(true)
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
            if let Some(state) = load(&core.store, run).await? {
                sums.extend(artifacts_of(&state).into_iter().map(|one| one.sha256));
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
        let removing = uses.removing("a").unwrap();
        assert!(uses.storing("a").is_none() && uses.removing("a").is_none());
        drop(removing);
        assert!(uses.storing("a").is_some() && uses.0.lock().unwrap().is_empty());
    }
}
