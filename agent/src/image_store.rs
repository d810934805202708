//! The images that nothing uses any more go, while the agent runs.

use std::{path::PathBuf, time::Duration};

use images::{Keep, Store};

/// After the start: what runs has taken hold of its images by then.
const FIRST: Duration = Duration::from_secs(60);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(3600);

/// Looks until it is dropped.
pub(crate) async fn tidy(dir: PathBuf, keep: Keep) {
    tokio::time::sleep(FIRST).await;
    loop {
        let dir = dir.clone();
        let pruned = tokio::task::spawn_blocking(move || Store::open(&dir)?.prune(keep)).await;
        match pruned {
            Ok(Ok(Some(pruned))) if pruned.names.is_empty() && pruned.bytes == 0 => {}
            Ok(Ok(Some(pruned))) => {
                tracing::info!(images = ?pruned.names, bytes = pruned.bytes, "images that nothing used are gone");
            }
            // Something is being fetched or started: the next look will do.
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot remove images that nothing uses"),
            Err(error) => tracing::error!(%error, "the removal of images ended"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
