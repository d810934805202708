//! The runs that are read again and again, folded: a look at a run of 10,000 steps reads what happened since the last look,
//! not all of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use engine::Run;
use types::RunId;

use super::Runs;
use crate::store::StoreError;

/// Runs that are kept.
const KEPT: usize = 64;
/// Bytes of the events of those that are kept beside the newest; folded they take about as much.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The run, and the bytes of the events that were folded.
type Kept = Arc<tokio::sync::Mutex<(Option<Run>, usize)>>;

/// The last runs that were looked at.
#[derive(Default)]
pub(super) struct Folded(Mutex<Shelf<Kept>>);

impl Folded {
    fn shelf<T>(&self, change: impl FnOnce(&mut Shelf<Kept>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Runs {
    /// Looks at a run as it is now; none for an unknown run.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn look<T>(
        &self,
        id: &RunId,
        look: impl FnOnce(&Run) -> T,
    ) -> Result<Option<T>, StoreError> {
        let folded = &self.inner.folded;
        let kept = match folded.shelf(|shelf| shelf.find(id)) {
            Some(kept) => kept,
            // Ids of runs that do not exist push out no others.
            None => match self.inner.store.run(id).await? {
                Some(_) => folded.shelf(|shelf| shelf.find_or_add(id)),
                None => return Ok(None),
            },
        };
        let mut kept = kept.lock().await;
        // Taken out meanwhile: what was folded halfway is kept on no path.
        let (mut run, mut bytes) = std::mem::take(&mut *kept);
        if let Err(error) = self.advance(id, &mut run, &mut bytes).await {
            folded.shelf(|shelf| shelf.forget(id));
            return Err(error);
        }
        folded.shelf(|shelf| shelf.holds(id, bytes));
        let seen = run.as_ref().map(look);
        *kept = (run, bytes);
        Ok(seen)
    }
}

/// What was looked at last stands first, each with the bytes of its events.
#[derive(Default)]
struct Shelf<K>(VecDeque<(RunId, K, usize)>);

impl<K: Clone + Default> Shelf<K> {
    fn find(&mut self, id: &RunId) -> Option<K> {
        let at = self.0.iter().position(|(kept, ..)| kept == id)?;
        let found = self.0.remove(at)?;
        let kept = found.1.clone();
        self.0.push_front(found);
        Some(kept)
    }

    fn find_or_add(&mut self, id: &RunId) -> K {
        self.find(id).unwrap_or_else(|| {
            let kept = K::default();
            self.0.push_front((id.clone(), kept.clone(), 0));
            self.0.truncate(KEPT);
            kept
        })
    }

    /// One has so many bytes by now; what is too much goes, but not what stands first.
    fn holds(&mut self, id: &RunId, bytes: usize) {
        if let Some(kept) = self.0.iter_mut().find(|(kept, ..)| kept == id) {
            kept.2 = bytes;
        }
        let mut all = 0;
        let fits = self.0.iter().skip(1).take_while(|(_, _, bytes)| {
            all += bytes;
            all <= KEPT_BYTES
        });
        let fits = 1 + fits.count();
        self.0.truncate(fits);
    }

    fn forget(&mut self, id: &RunId) {
        self.0.retain(|(kept, ..)| kept != id);
    }
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    fn id(n: u8) -> RunId {
        RunId::new(Timestamp::from_unix_ms(1), [n; 10])
    }

    fn kept(shelf: &Shelf<()>) -> Vec<RunId> {
        shelf.0.iter().map(|(id, ..)| id.clone()).collect()
    }

    #[test]
    fn what_is_kept_is_bounded_by_number_and_by_bytes() {
        let mut shelf = Shelf::<()>::default();
        for n in 0..72 {
            shelf.find_or_add(&id(n));
            shelf.holds(&id(n), 1);
        }
        assert_eq!(kept(&shelf), (8..72).rev().map(id).collect::<Vec<_>>());
        // Two of the largest fit beside the newest, however large that is.
        for n in [12, 13, 14] {
            shelf.find(&id(n));
            shelf.holds(&id(n), KEPT_BYTES / 2 - 1);
        }
        shelf.find(&id(71));
        shelf.holds(&id(71), 2 * KEPT_BYTES);
        assert_eq!(kept(&shelf), [id(71), id(14), id(13)]);
        shelf.find(&id(13));
        shelf.holds(&id(13), 1);
        assert_eq!(
            kept(&shelf),
            [id(13)],
            "what stood first is too large beside another"
        );
        shelf.forget(&id(13));
        assert!(shelf.find(&id(13)).is_none());
    }
}
