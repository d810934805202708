//! Before the step: the network's holder, then all services at once, until each is ready.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use runtime::{Attached, AttemptDir, ContainerSpec, Ended, Found, Runtime, Secrets};
use tokio_util::sync::CancellationToken;

use super::end::{Told, end_of};
use crate::context::Context;

/// Between two looks for the word that a service is ready, which its own first process writes.
const LOOK: Duration = Duration::from_millis(25);

/// A container beside the step.
pub(in crate::attempt) struct Part {
    /// A service's name; none for the holder.
    pub service: Option<String>,
    pub dir: PathBuf,
    pub spec: ContainerSpec,
    pub secrets: Secrets,
}

/// Why the step is not started.
pub(in crate::attempt) enum NotUp {
    /// It was told to end meanwhile.
    Stopped,
    /// Which one, and why: for people, not masked yet.
    Failed(String),
}

/// Brings them up, or finds those that are. On every other path what was started is still to be ended.
///
/// # Errors
/// The first that is not up, or the wish to stop.
pub(in crate::attempt) async fn up(
    context: &Context,
    runtime: &dyn Runtime,
    attempt: &Path,
    parts: Vec<Part>,
    stop: &CancellationToken,
) -> Result<(), NotUp> {
    // Made first of all: a wish to stop is written into them, whatever has begun.
    let dirs: Vec<PathBuf> = parts.iter().map(|part| part.dir.clone()).collect();
    for dir in std::iter::once(attempt).chain(dirs.iter().map(PathBuf::as_path)) {
        make(dir).map_err(|error| NotUp::Failed(format!("cannot make {}: {error}", dir.display())))?;
    }
    let (holders, services): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|part| part.service.is_none());
    let going = async {
        try_join_all(holders.into_iter().map(|part| one(context, runtime, part))).await?;
        failpoint::reach("services.held");
        let ready = services.into_iter().map(|part| one(context, runtime, part));
        let ready = try_join_all(ready).await?;
        failpoint::reach("services.ready");
        // One may have ended while others were waited for.
        try_join_all(ready.iter().flatten().map(|up| still(context, runtime, up))).await?;
        Ok(())
    };
    tokio::pin!(going);
    let done = tokio::select! {
        done = &mut going => done,
        () = stop.cancelled() => {
            join_all(dirs.iter().map(|dir| runtime.stop(dir))).await;
            // What is being started is always waited for: only it knows whether something runs.
            drop(going.await);
            return Err(NotUp::Stopped);
        }
    };
    done.map_err(NotUp::Failed)
}

fn make(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A service that is up.
struct Up {
    name: String,
    dir: PathBuf,
}

async fn one(context: &Context, runtime: &dyn Runtime, part: Part) -> Result<Option<Up>, String> {
    let called = part.service.as_ref().map_or_else(
        || "the step's network".to_owned(),
        |name| format!("service {name}"),
    );
    let waits = part.spec.pod.holds || part.spec.pod.ready.is_some();
    let started = runtime.start(&part.dir, part.spec, part.secrets).await;
    failpoint::reach("services.started");
    let running = match started {
        Ok(Found::Running(running)) => running,
        Ok(Found::Ended(ended)) => return Err(not_up(context, &called, &part.dir, &ended)),
        Err(error) => return Err(format!("{called} cannot be started: {error}")),
    };
    if let Some(ended) = until_ready(running.as_ref(), &part.dir, &called, waits).await? {
        return Err(not_up(context, &called, &part.dir, &ended));
    }
    let dir = part.dir;
    Ok(part.service.map(|name| Up { name, dir }))
}

/// Until it is ready, which it is when nothing is answered, or has ended. One that nothing is asked of is ready once its
/// program may have begun; whether it did, the look before the step says.
async fn until_ready(
    running: &dyn Attached,
    dir: &Path,
    called: &str,
    waits: bool,
) -> Result<Option<Ended>, String> {
    let files = AttemptDir::new(dir);
    let ended = running.wait();
    tokio::pin!(ended);
    loop {
        if !waits && files.started().exists() {
            return Ok(None);
        }
        match files.ready() {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => {}
            Err(error) => return Err(format!("{called}: whether it is ready cannot be read: {error}")),
        }
        tokio::select! {
            ended = &mut ended => {
                return match ended {
                    Ok(ended) => Ok(Some(ended)),
                    Err(error) => Err(format!("{called} cannot be watched: {error}")),
                };
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn still(context: &Context, runtime: &dyn Runtime, up: &Up) -> Result<(), String> {
    match runtime.adopt(&up.dir).await {
        Ok(Found::Running(_)) => Ok(()),
        Ok(Found::Ended(ended)) => Err(not_up(context, &format!("service {}", up.name), &up.dir, &ended)),
        Err(error) => Err(format!("service {} cannot be found any more: {error}", up.name)),
    }
}

/// `before the step could start, service db ended with exit code 1; its last lines: …`
fn not_up(context: &Context, called: &str, dir: &Path, ended: &Ended) -> String {
    match end_of(&context.masker(), dir, ended) {
        Told::End(end) => format!("before the step could start, {called} {}", end.message),
        Told::Asked => format!("{called} was told to end before it was ready"),
        Told::NeverRan(why) => format!("{called} was not started: {why}"),
    }
}
