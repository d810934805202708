//! Judges leases that ran out. Idempotent and without input: it reads the book and asks the runs.

use std::{pin::pin, time::Duration};

use futures::future::{Fuse, FusedFuture, FutureExt};

use crate::{
    Core,
    runs::{Ask, RunError},
};

/// How often the book is read. A lease's margin is ten times as long.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn watch(core: Core) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    // At a start nobody was to be heard before.
    core.agents.look();
    // Beside the looks: a store that takes its time is no pause of the server.
    let mut judging = pin!(Fuse::terminated());
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = &mut judging => continue,
            _ = tick.tick() => {}
        }
        if let Some(ms) = core.agents.look() {
            tracing::warn!(
                ms,
                "the server stood still (stopped, in a paused machine, or starved): all leases begin anew, for no \
                 renewal was heard meanwhile"
            );
        }
        if judging.is_terminated() {
            judging.set(judge(&core).fuse());
        }
    }
}

async fn judge(core: &Core) {
    for (token, lease) in core.agents.expired() {
        tracing::warn!(run = %lease.run, step = %lease.at.step, agent = %lease.agent, "lease ran out");
        let ask = Ask::Expired {
            at: lease.at.clone(),
            token: token.clone(),
        };
        match core.runs.ask(&lease.run, ask).await {
            Ok(()) => {}
            // The run knows of no such lease, so the book is wrong; else it would be asked every second for ever.
            Err(error @ (RunError::Rejected(_) | RunError::NotFound(_) | RunError::GivenUp(_))) => {
                tracing::debug!(run = %lease.run, %error, "a lease in the book that is none");
                core.agents.unlease(&token);
            }
            Err(error) => tracing::warn!(run = %lease.run, %error, "the run cannot judge its lease now"),
        }
    }
}
