//! A run from its history: the same fold as live work.

use engine::{Event, Run, history};
use types::RunId;

use super::black_box::{BlackBox, Doing};
use crate::store::{self, SharedStore, StoreError, StoredEvent, StreamId};

/// Events read at once.
const PAGE: u32 = 1_000;

/// Loads a run; none when there is no such stream.
///
/// # Errors
/// `Corrupt` for a history that this version cannot read.
pub(crate) async fn load(store: &SharedStore, id: &RunId) -> Result<Option<Run>, StoreError> {
    let mut run = None;
    advance(store, id, &mut run, &mut 0, &BlackBox::default()).await?;
    Ok(run)
}

/// Folds what happened since a run was loaded, or all of it; the bytes of those events are counted.
///
/// # Errors
/// As [`load`]; the run holds what was folded before.
pub(super) async fn advance(
    store: &SharedStore,
    id: &RunId,
    run: &mut Option<Run>,
    bytes: &mut usize,
    black_box: &BlackBox,
) -> Result<(), StoreError> {
    let doing = Doing::Load(id.clone());
    let stream = StreamId::Run(id.clone());
    loop {
        let after = run.as_ref().map_or(0, |run| run.seq);
        let page = store.events(&stream, after, PAGE).await?;
        let full = store::is_cut(&page, PAGE);
        // Not while the store is waited for: who kills a server that hangs on its disk says nothing of the run.
        let _turn = black_box.turn(&doing).await;
        for stored in page {
            *bytes += stored.body.len();
            let event = read(id, &stored)?;
            match (run.as_mut(), event) {
                (None, Event::RunStarted(first)) => {
                    failpoint::reach_of("run.load", &first.plan.name);
                    *run = Some(Run::new(&first, stored.at));
                }
                (None, other) => {
                    return Err(StoreError::Corrupt(format!(
                        "{id} begins with {:?}",
                        other.kind()
                    )));
                }
                (Some(run), event) => run.evolve(&event, stored.at),
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// One stored event of a run.
pub(crate) fn read(id: &RunId, stored: &StoredEvent) -> Result<Event, StoreError> {
    history::read(&stored.kind, stored.version, &stored.body)
        .map_err(|error| StoreError::Corrupt(format!("{id} at {}: {error}", stored.seq)))
}
