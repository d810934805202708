//! An agent that has nothing to do keeps little memory.

use std::time::Duration;

use tokio::sync::watch;

/// How long it has had nothing to do when it gives memory back.
const AFTER: Duration = Duration::from_secs(5);

/// Gives memory back each time that there has been nothing to do for a while; goes on as long as `busy` is told.
pub(crate) async fn give_back(mut busy: watch::Receiver<bool>) {
    while busy.wait_for(|busy| !busy).await.is_ok() {
        tokio::select! {
            changed = busy.changed() => if changed.is_err() { return } else { continue },
            () = tokio::time::sleep(AFTER) => {}
        }
        let before = node::memory::resident_bytes();
        match node::blocking::run(node::memory::give_back).await {
            Ok(Ok(())) => {
                tracing::debug!(
                    before,
                    after = node::memory::resident_bytes(),
                    "nothing to do: gave memory back, bytes"
                );
            }
            Ok(Err(error)) => tracing::debug!(%error, "cannot give memory back"),
            // The agent ends.
            Err(_) => return,
        }
        if busy.wait_for(|busy| *busy).await.is_err() {
            return;
        }
    }
}
