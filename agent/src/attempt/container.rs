//! An attempt in a container.

use std::time::Duration;

use runtime::{Attached, ContainerSpec, Ended, Found, Go, Runtime, RuntimeError, Secrets};
use types::{Failure, FailureKind, Work, WorkBody};

use super::{
    Job, Told, artifacts, files, of_exit,
    pod::{self, NotUp},
    report,
    spec::{self, Made},
};

/// Between two tries of what the runtime could not do.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries to learn how it ended.
const TRIES: u32 = 5;

pub(super) async fn start(job: &Job, work: &Work, mut go: Go) {
    let WorkBody::Container(container) = &work.body else {
        return;
    };
    let dir = job.dir();
    let runtimes = match &job.context.runtimes {
        Ok(runtimes) => runtimes,
        Err(why) => {
            let message = format!("agent {} cannot run containers: {why}", job.context.name);
            return job.fail(Failure::new(FailureKind::Start, message)).await;
        }
    };
    let runtime = match runtimes.take(&dir, container) {
        Ok(runtime) => runtime,
        Err(why) => {
            let message = format!("agent {} cannot run this: {why}", job.context.name);
            return job.fail(Failure::new(FailureKind::Refused, message)).await;
        }
    };
    let of = spec::Of {
        context: &job.context,
        runtime: runtime.as_ref(),
        key: &job.meta.key,
        token: &job.token,
        dir: &dir,
        work,
    };
    let made = tokio::select! {
        made = of.make(container) => made,
        // Secrets may take a while; nothing has begun.
        () = job.reins.stop.cancelled() => {
            let verdict = report::stopped_by(job.reins.cause(), work);
            return job.ended_before(verdict).await;
        }
    };
    let Made {
        spec,
        secrets,
        beside,
    } = match made {
        Ok(made) => made,
        Err(failure) => return job.fail(failure).await,
    };
    let theirs = beside.iter().flat_map(|part| &part.secrets);
    let all: Secrets = secrets.iter().chain(theirs).cloned().collect();
    // With what a service holds that an agent before this one started.
    let held = match job.context.kept.save(&job.token, &all) {
        Ok(held) => held,
        Err(error) => {
            let message =
                format!("what the step is to get cannot be kept for a restart of the agent: {error}");
            return job.fail(Failure::new(FailureKind::Start, message)).await;
        }
    };
    if let Err(error) = runtimes.note(&job.dir(), runtime.as_ref()) {
        let message = format!("which runtime runs the step cannot be noted: {error}");
        return job.fail(Failure::new(FailureKind::Start, message)).await;
    }
    job.context
        .masks
        .hold(&job.token, held.iter().map(|(_, secret)| secret));
    let put = tokio::select! {
        put = files::put(job, container) => put,
        // An artifact may be large; nothing has begun.
        () = job.reins.stop.cancelled() => {
            let verdict = report::stopped_by(job.reins.cause(), work);
            return job.ended_before(verdict).await;
        }
    };
    if let Err(failure) = put {
        return job.fail(failure).await;
    }
    if !beside.is_empty() {
        // They are containers, too.
        if !go.given().await {
            return;
        }
        go = Go::now();
        match pod::up(&job.context, runtime.as_ref(), &dir, beside, &job.reins.stop).await {
            Ok(()) => {}
            Err(NotUp::Stopped) => {
                let verdict = report::stopped_by(job.reins.cause(), work);
                return job.ended_before(verdict).await;
            }
            Err(NotUp::Failed(why)) => return job.fail(Failure::new(FailureKind::Start, why)).await,
        }
    }
    match begin(job, runtime.as_ref(), spec, secrets, go).await {
        Ok(Some(Found::Running(running))) => {
            job.tell(Told::Started).await;
            attend(job, work, runtime.as_ref(), running).await;
        }
        Ok(Some(Found::Ended(ended))) => over(job, work, ended).await,
        // The agent cannot say that it was meant: it ends, and the next one on this directory starts it.
        Ok(None) => {}
        Err(error) => {
            job.fail(Failure::new(FailureKind::Start, error.to_string()))
                .await
        }
    }
}

/// Starts it. A wish to end it that comes meanwhile goes to the runtime, which may be fetching the image for minutes; the
/// start itself is always waited for, because only it knows whether something runs.
async fn begin(
    job: &Job,
    runtime: &dyn Runtime,
    spec: ContainerSpec,
    secrets: Secrets,
    go: Go,
) -> Result<Option<Found>, RuntimeError> {
    let dir = job.dir();
    let mut starting = runtime.start_when(&dir, spec, secrets, go);
    tokio::select! {
        found = &mut starting => found,
        () = stop(job, runtime) => starting.await,
    }
}

/// Waits for its end, and ends it when it is told to.
pub(super) async fn follow(job: &Job, work: &Work, running: Box<dyn Attached>) {
    let Ok(runtimes) = &job.context.runtimes else {
        return;
    };
    match runtimes.of(&job.dir()) {
        Ok(runtime) => attend(job, work, runtime.as_ref(), running).await,
        // It was found by that runtime.
        Err(error) => {
            tracing::error!(attempt = %job.meta.key, %error, "nothing can look after a container");
            vanished(job).await;
        }
    }
}

async fn attend(job: &Job, work: &Work, runtime: &dyn Runtime, running: Box<dyn Attached>) {
    let mut failed = 0;
    loop {
        let ended = tokio::select! {
            ended = running.wait() => ended,
            () = stop(job, runtime) => running.wait().await,
        };
        match ended {
            Ok(ended) => return over(job, work, ended).await,
            Err(error) if failed < TRIES => {
                tracing::warn!(attempt = %job.meta.key, %error, "cannot see how a container ended; trying again");
                failed += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::error!(attempt = %job.meta.key, %error, "cannot see how a container ended");
                return vanished(job).await;
            }
        }
    }
}

/// Returns when it was told to end and the runtime took that.
async fn stop(job: &Job, runtime: &dyn Runtime) {
    job.reins.stop.cancelled().await;
    while let Err(RuntimeError(error)) = runtime.stop(&job.dir()).await {
        tracing::error!(attempt = %job.meta.key, error, "cannot stop a container; trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn over(job: &Job, work: &Work, ended: Ended) {
    match ended {
        Ended::Finished(record) => {
            let services = pod::down(&job.context, &job.dir(), Some(record.finished_at_ms)).await;
            let made =
                node::blocking::here(|| of_exit(&job.context, work, &job.dir(), &record, job.reins.cause()));
            let left = &record.artifacts;
            match made {
                Ok(mut report) => {
                    report.verdict = pod::judged(report.verdict, &services);
                    report.services = services;
                    artifacts::deliver(job, work, left, &mut report).await;
                    job.tell(Told::Ended(Box::new(report))).await;
                    // What follows it in the run does not wait for its logs.
                    job.logs_end();
                }
                Err(error) => {
                    let message = format!("the report could not be made: {error}");
                    job.fail(Failure::new(FailureKind::Internal, message)).await;
                }
            }
        }
        Ended::NeverStarted(words) => {
            let words = if words.is_empty() {
                "without a word".to_owned()
            } else {
                words
            };
            job.fail(Failure::new(
                FailureKind::Start,
                format!("the container ended before its program was started: {words}"),
            ))
            .await;
        }
        Ended::Lost => vanished(job).await,
    }
}

async fn vanished(job: &Job) {
    pod::down(&job.context, &job.dir(), None).await;
    job.logs_end();
    job.tell(Told::Vanished).await;
}
