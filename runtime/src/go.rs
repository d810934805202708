//! Leave to begin.

use tokio::sync::oneshot;

/// What a start that is made ready waits for: that it was meant is on the disk.
#[derive(Debug)]
pub struct Go(Option<oneshot::Receiver<()>>);

impl Go {
    /// It is given.
    #[must_use]
    pub const fn now() -> Self {
        Self(None)
    }

    /// It is given when something is sent. Dropped without that, nothing may begin.
    #[must_use]
    pub fn gate() -> (oneshot::Sender<()>, Self) {
        let (gate, go) = oneshot::channel();
        (gate, Self(Some(go)))
    }

    /// Waits for it; false when it will not be given.
    pub async fn given(self) -> bool {
        match self.0 {
            Some(go) => go.await.is_ok(),
            None => true,
        }
    }

    /// The same on a thread that may be blocked.
    pub(crate) fn given_blocking(self) -> bool {
        self.0.is_none_or(|go| go.blocking_recv().is_ok())
    }
}
