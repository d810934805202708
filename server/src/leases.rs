//! Judges leases that ran out. Idempotent and without input: it reads the book and asks the runs.

use std::time::Duration;

use crate::{Core, runs::Ask};

/// How often the book is read. A lease's margin is ten times as long.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn watch(core: Core) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        for (token, lease) in core.agents.expired() {
            tracing::warn!(run = %lease.run, step = %lease.at.step, agent = %lease.agent, "lease ran out");
            let ask = Ask::Expired {
                at: lease.at,
                token: token.clone(),
            };
            if let Err(error) = core.runs.ask(&lease.run, ask).await {
                tracing::debug!(%error, "the lease's run did not take its end");
            }
        }
    }
}
