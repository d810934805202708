//! What is on its way of attempts that are over, thrown away, and what is beyond the operator's bounds. Idempotent and
//! without input: it reads the directory and the histories.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, time::Duration};

use engine::Run;
use futures::FutureExt;
use types::{LeaseToken, RunId};

use super::{Artifacts, collect::collect};
use crate::{Core, store::StoreError};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(600);

/// Sweeps as long as the server runs.
pub(crate) async fn watch(core: Core) {
    let Some(artifacts) = core.config.artifacts.clone() else {
        return;
    };
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        match artifacts.incoming_runs().await {
            Ok(runs) => {
                for run in runs {
                    sweep(&core, &artifacts, &run).await;
                }
            }
            Err(error) => tracing::error!(%error, "what is on its way of artifacts cannot be looked at"),
        }
        if let Err(error) = collect(&core, &artifacts).await {
            tracing::error!(%error, "artifacts beyond their bounds stay for now");
        }
    }
}

async fn sweep(core: &Core, artifacts: &Artifacts, run: &RunId) {
    // Before it is read: what begins after that is none of this run's as it was read.
    let _nothing_begins = artifacts.turns.promising.lock().await;
    let live: BTreeSet<LeaseToken> = match read(core, run).await {
        Ok(state) => state.iter().flat_map(live).collect(),
        // Nobody goes on with it either.
        Err(StoreError::Corrupt(_)) => BTreeSet::new(),
        Err(error) => {
            tracing::warn!(%run, %error, "what is on its way of a run's artifacts stays for now");
            return;
        }
    };
    if let Err(error) = artifacts.tidy(run, |token| live.contains(token)).await {
        tracing::error!(%run, %error, "what is on its way of a run's artifacts cannot be thrown away");
    }
}

/// A run's state. A history over which this server panics is one that it cannot read: the others' turn comes all the same.
pub(super) async fn read(core: &Core, run: &RunId) -> Result<Option<Run>, StoreError> {
    let read = AssertUnwindSafe(core.runs.load(run)).catch_unwind().await;
    read.unwrap_or_else(|_| Err(StoreError::Corrupt("its history cannot be loaded".to_owned())))
}

/// The leases of a run's attempts that are not over.
fn live(run: &Run) -> impl Iterator<Item = LeaseToken> {
    let attempts = run
        .steps
        .iter()
        .flat_map(|step| &step.items)
        .flat_map(|item| &item.attempts);
    attempts
        .filter(|attempt| !attempt.life.is_over())
        .filter_map(|attempt| attempt.life.lease().map(|lease| lease.token.clone()))
}

/// Whether a lease is that of an attempt which is not over.
pub(crate) fn is_live(run: &Run, token: &LeaseToken) -> bool {
    live(run).any(|live| live == *token)
}
