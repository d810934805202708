//! Looks again and again for what attempts left on this host, and takes it away.
//!
//! Only what bears this agent's own mark is ever touched: directories below its data directory that are named as leases
//! are, and what the runtime itself made and knows by its own account.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use runtime::{Found, RuntimeError, Stray};
use tokio::sync::{mpsc, oneshot};
use types::LeaseToken;

use crate::{attempt::pod, context::Context, runtimes::Runtimes, supervisor::Event, sweep};

/// Between two looks. What is seen in two of them in a row is left behind: within a minute of its end it is gone.
const EVERY: Duration = Duration::from_secs(20);
/// How long a container that nobody knows may take to end, beyond its own grace.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Janitor {
    pub context: Arc<Context>,
    pub events: mpsc::Sender<Event>,
}

/// Something without a live attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Leftover {
    /// A directory, perhaps with a container that runs.
    Attempt(LeaseToken),
    /// What a runtime, by its name, holds of one whose directory is gone.
    Stray(&'static str, Stray),
}

impl Leftover {
    /// A container's id is its attempt's token, or begins with it where it stands beside a step.
    fn belongs_to(&self, kept: &BTreeSet<LeaseToken>) -> bool {
        match self {
            Self::Attempt(token) => kept.contains(token),
            Self::Stray(_, stray) => kept
                .iter()
                .any(|token| token.as_str() == pod::token_of(&stray.id)),
        }
    }
}

impl Janitor {
    /// Goes on until it is dropped.
    pub(crate) async fn run(self) {
        // Nothing was begun before the first look, so that nothing on its way can be taken for left behind.
        let Some(mut seen) = self.look().await else { return };
        let mut removed = self.take_away(&seen).await;
        loop {
            if removed > 0 {
                tracing::info!(removed, "what attempts had left behind on this host is gone");
            }
            tokio::time::sleep(EVERY).await;
            let Some(now) = self.look().await else { return };
            let stayed: BTreeSet<Leftover> = now.intersection(&seen).cloned().collect();
            removed = self.take_away(&stayed).await;
            seen = now;
        }
    }

    /// What lies there without a live attempt; nothing when the supervisor is gone.
    async fn look(&self) -> Option<BTreeSet<Leftover>> {
        // Looked for before the supervisor is asked: an attempt is in its books before anything of it is made.
        let mut found = self.directories();
        for one in self.context.runtimes.iter().flat_map(Runtimes::iter) {
            let name = one.runtime.name();
            match one.runtime.strays().await {
                Ok(strays) => found.extend(strays.into_iter().map(|stray| Leftover::Stray(name, stray))),
                Err(error) => {
                    tracing::warn!(runtime = name, %error, "cannot look for containers that were left behind; trying again");
                }
            }
        }
        let (reply, kept) = oneshot::channel();
        self.events.send(Event::Kept(reply)).await.ok()?;
        let kept = kept.await.ok()?;
        found.retain(|leftover| !leftover.belongs_to(&kept));
        Some(found)
    }

    /// Attempts by their directories.
    fn directories(&self) -> BTreeSet<Leftover> {
        let leases = self.context.dir.leases().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot look for what was left behind");
            BTreeSet::new()
        });
        leases.into_iter().map(Leftover::Attempt).collect()
    }

    /// How many of them went.
    async fn take_away(&self, leftovers: &BTreeSet<Leftover>) -> u32 {
        let mut gone = 0;
        for leftover in leftovers {
            let (id, what) = match leftover {
                Leftover::Attempt(token) => (token.as_str(), "its directory"),
                Leftover::Stray(_, stray) => (stray.id.as_str(), stray.what.as_str()),
            };
            let done = match leftover {
                Leftover::Attempt(token) => self.bury(token).await,
                Leftover::Stray(runtime, stray) => self.clear(runtime, stray).await,
            };
            match done {
                Ok(()) => {
                    tracing::warn!(
                        token = id,
                        what,
                        "left behind by an attempt that is over: removed"
                    );
                    gone += 1;
                    self.context.leftovers_removed.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::error!(token = id, what, %error, "left behind by an attempt that is over, and cannot be removed; trying again");
                }
            }
        }
        gone
    }

    async fn bury(&self, token: &LeaseToken) -> Result<(), RuntimeError> {
        if let Ok(runtimes) = &self.context.runtimes {
            let dir = self.context.dir.attempt(token);
            let runtime = runtimes.of(&dir)?;
            if let Found::Running(running) = runtime.adopt(&dir).await? {
                runtime.stop(&dir).await?;
                match tokio::time::timeout(PATIENCE, running.wait()).await {
                    Ok(ended) => drop(ended?),
                    Err(_) => return Err(RuntimeError("its container does not end".to_owned())),
                }
            }
        }
        sweep::try_remove(&self.context, token).await
    }

    async fn clear(&self, runtime: &str, stray: &Stray) -> Result<(), RuntimeError> {
        let runtimes = self.context.runtimes.as_ref().ok();
        match runtimes.and_then(|runtimes| runtimes.named(runtime)) {
            Some(runtime) => runtime.clear(stray).await,
            // It came from a runtime, so there is one.
            None => Ok(()),
        }
    }
}
