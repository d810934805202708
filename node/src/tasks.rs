//! Named tasks: no panic vanishes, and their end can be waited for.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle, task::TaskTracker};

/// The tasks of one part of a process. A panic in one of them is logged with its name and cancels [`Tasks::failed`].
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    failed: CancellationToken,
}

impl Tasks {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. It ends with the future, or when `stop` is cancelled.
    pub fn spawn<F>(&self, name: &'static str, stop: CancellationToken, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let failed = self.failed.clone();
        self.tracker.spawn(async move {
            let task = AbortOnDropHandle::new(tokio::spawn(task));
            tokio::select! {
                ended = task => if let Err(error) = ended && error.is_panic() {
                    tracing::error!(task = name, "a task panicked");
                    failed.cancel();
                },
                () = stop.cancelled() => {}
            }
        });
    }

    /// Cancelled by the first panic.
    #[must_use]
    pub const fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Waits for the end of all tasks; false when they took longer than `at_most`.
    pub async fn ended(&self, at_most: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(at_most, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_panic_is_seen_and_the_rest_is_stopped() {
        let (tasks, stop) = (Tasks::new(), CancellationToken::new());
        tasks.spawn("forever", stop.clone(), std::future::pending());
        tasks.spawn("broken", stop.clone(), async { panic!("on purpose") });
        assert!(
            tokio::time::timeout(PATIENCE, tasks.failed().cancelled())
                .await
                .is_ok()
        );
        assert!(!tasks.ended(Duration::from_millis(20)).await);
        stop.cancel();
        assert!(tasks.ended(PATIENCE).await);
    }
}
