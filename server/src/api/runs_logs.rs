//! Which attempts' logs a call asks for, one after the other.

use std::collections::BTreeSet;

use engine::{At, Run};
use proto::v1;
use tonic::Status;

use super::{
    brief, convert, errors,
    stream::Out,
    watch::{self, Progress},
};
use crate::{Core, store::LogStream};

/// # Errors
/// NOT_FOUND for what the run does not have, unless it may come: who follows waits for another try.
pub(super) fn check(run: &Run, request: &v1::RunLogsRequest) -> Result<(), Status> {
    if request.step.is_empty() {
        for (field, given) in [
            ("index", request.index.is_some()),
            ("attempt", request.attempt > 0),
            ("offset", request.offset > 0),
            ("service", !request.service.is_empty()),
        ] {
            if given {
                return Err(errors::invalid(field, "of one step: give `step` too"));
            }
        }
        return Ok(());
    }
    let Some(position) = run.position(&request.step) else {
        return Err(errors::not_found(
            "step",
            &request.step,
            format_args!("run {} has no step {:?}", run.id, brief(&request.step)),
        ));
    };
    if request.index.is_some() && run.plan.steps[position].fan_out.is_none() {
        return Err(errors::invalid(
            "index",
            format_args!("step {} has no items", request.step),
        ));
    }
    let asked = request.index.is_some() || request.attempt > 0;
    if asked && (!request.follow || over(run, request)) && chosen(run, request).is_empty() {
        let attempt = format!("{}/{}", request.step, request.attempt);
        let why = format_args!("step {} has no such item or attempt", request.step);
        return Err(errors::not_found("attempt", &attempt, why));
    }
    Ok(())
}

pub(super) async fn send(
    core: &Core,
    mut run: Run,
    request: &v1::RunLogsRequest,
    stream: LogStream,
    out: &Out<v1::RunLogsResponse>,
) -> Result<(), Status> {
    let mut sent: BTreeSet<At> = BTreeSet::new();
    loop {
        for at in chosen(&run, request) {
            if sent.insert(at.clone()) {
                let attempt = convert::key(&run.id, &at);
                let wanted = watch::Wanted {
                    attempt,
                    stream,
                    service: request.service.clone(),
                    offset: request.offset,
                    follow: request.follow,
                };
                watch::log(core, wanted, out).await?;
            }
        }
        if !request.follow || over(&run, request) {
            return Ok(());
        }
        // The step has not begun, or another try may follow.
        let mut progress = Progress::mark(core, &run.id);
        let known = run.seq;
        run = core
            .runs
            .load(&run.id)
            .await
            .map_err(|error| errors::store_status(&error))?
            .ok_or_else(|| errors::no_run(&run.id))?;
        if run.seq > known {
            continue;
        }
        tokio::select! {
            () = progress.changed() => {}
            () = out.closed() => return Ok(()),
            () = core.shutdown.cancelled() => return Err(errors::stopping()),
        }
    }
}

/// The attempts meant: without a step all, without an index all items, without a number the newest of each.
fn chosen(run: &Run, request: &v1::RunLogsRequest) -> Vec<At> {
    let mut chosen = Vec::new();
    for (plan, step) in run.plan.steps.iter().zip(&run.steps) {
        if !request.step.is_empty() && plan.key != request.step {
            continue;
        }
        for (n, item) in step.items.iter().enumerate() {
            let index = plan
                .fan_out
                .is_some()
                .then(|| u32::try_from(n).unwrap_or(u32::MAX));
            let newest = u32::try_from(item.attempts.len()).unwrap_or(u32::MAX);
            let attempt = if request.attempt == 0 {
                newest
            } else {
                request.attempt
            };
            let meant = request.index.is_none() || request.index == index;
            if meant && (1..=newest).contains(&attempt) {
                chosen.push(At {
                    step: plan.key.clone(),
                    index,
                    attempt,
                });
            }
        }
    }
    chosen
}

fn over(run: &Run, request: &v1::RunLogsRequest) -> bool {
    run.ended.is_some()
        || (!request.step.is_empty()
            && run
                .step(&request.step)
                .is_none_or(|(_, step)| step.outcome().is_some()))
}
