//! How a process ends: the first TERM or INT asks it to, the second one insists.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two phases of an end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Finish what is short, take nothing new.
    pub begin: CancellationToken,
    /// Leave at once.
    pub now: CancellationToken,
}

impl Shutdown {
    /// Listens to SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let phases = shutdown.clone();
        tokio::spawn(async move {
            for phase in [&phases.begin, &phases.now] {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                tracing::info!("asked to stop");
                phase.cancel();
            }
        });
        Ok(shutdown)
    }
}
