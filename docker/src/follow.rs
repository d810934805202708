//! How an attempt ended: by our pid 1's record, the lock that it held, its process, and the daemon's word, whichever there are.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{KillContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures::{Stream, StreamExt};
use runtime::kit::{boot, process_ended, wall_ms};
use runtime::{Attached, Ended, ExitRecord, RuntimeError, StreamRecord};

use crate::attempt::{Files, Order, Started};
use crate::body;
use crate::connection::CALL;
use crate::runtime_impl::Docker;
use crate::seen::{Inspected, State};
use crate::start::finish;
use crate::wire::Left;

/// Between two looks at the record and the lock. The daemon's word usually comes first; it need not come at all.
const LOOK: Duration = Duration::from_millis(250);
/// Between two tries to ask the daemon.
const AGAIN: Duration = Duration::from_secs(1);
/// What our pid 1 gets beyond timeout and grace before the daemon is told to kill: it may be frozen.
const MARGIN: Duration = Duration::from_secs(10);
/// How long the daemon may take to see an end that we see already.
const SETTLE: Duration = Duration::from_secs(20);

/// An attempt that was told to go.
pub(crate) struct Running {
    docker: Docker,
    files: Files,
    /// The container's first process, which ends after all the others in it; none when another agent's process started it.
    first: Option<OwnedFd>,
}

type Waiting = Pin<
    Box<dyn Stream<Item = Result<bollard::models::ContainerWaitResponse, bollard::errors::Error>> + Send>,
>;

impl Running {
    pub(crate) fn new(docker: Docker, files: Files, first: Option<OwnedFd>) -> Self {
        Self { docker, files, first }
    }

    /// Returns once the container's first process has ended; never where it is not seen, or cannot be watched now: then its lock,
    /// which is looked at again and again, tells.
    async fn first_ended(&self) {
        let Some(first) = &self.first else {
            return std::future::pending().await;
        };
        if let Err(error) = process_ended(first).await {
            tracing::debug!(%error, "a container's first process cannot be watched now: its lock is looked at");
            std::future::pending().await
        }
    }

    /// Returns once the container has ended, as far as can be seen.
    async fn ended(&self, order: &Order, started: &Started) {
        let name = body::name(&order.spec.id);
        let mut waiting: Option<Waiting> = None;
        let mut ask_at = boot();
        let mut killed_at = None;
        loop {
            if matches!(self.files.left(), Ok(Some(_))) || !self.files.lives() {
                return;
            }
            if self.is_overdue(order, started) && killed_at.is_none_or(|at| boot() > at + MARGIN) {
                killed_at = Some(boot());
                self.kill(&name).await;
            }
            if self.first.is_none() && waiting.is_none() && boot() >= ask_at {
                let options = WaitContainerOptionsBuilder::default()
                    .condition("not-running")
                    .build();
                let client = self.docker.inner.connection.client.clone();
                let name = name.clone();
                waiting = Some(Box::pin(async_stream(client, name, options)));
            }
            let look = tokio::time::sleep(LOOK);
            let Some(stream) = &mut waiting else {
                tokio::select! {
                    () = self.first_ended() => return,
                    () = look => continue,
                }
            };
            // The end of that stream says nothing by itself, a closed one least of all: it only makes us look.
            tokio::select! {
                _said = stream.next() => {
                    waiting = None;
                    ask_at = boot() + AGAIN;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                () = self.first_ended() => return,
                () = look => {}
            }
        }
    }

    /// Whether its time, or the time after the wish to stop, is long over.
    fn is_overdue(&self, order: &Order, started: &Started) -> bool {
        let grace = Duration::from_millis(order.spec.grace_ms) + MARGIN;
        let timeout = Duration::from_millis(order.spec.timeout_ms);
        let stop = self.files.stop_wish().map(|at| at + grace);
        let due = (started.boot + timeout + grace).min(stop.unwrap_or(Duration::MAX));
        boot() >= due
    }

    /// The last resort: by the daemon, thawed first, because a frozen one takes no signal.
    async fn kill(&self, name: &str) {
        let connection = &self.docker.inner.connection;
        let thawed = connection
            .call(
                "cannot thaw the container",
                CALL,
                connection.client.unpause_container(name),
            )
            .await;
        if thawed.is_ok() {
            tracing::warn!(
                name,
                "a container that somebody paused is thawed, because its time is over"
            );
        }
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        let killing = connection.client.kill_container(name, Some(options));
        if let Err(error) = connection.call("cannot kill the container", CALL, killing).await {
            tracing::warn!(name, %error, "a container that is overdue is not killed yet");
        }
    }

    /// Waits until nothing of it lives, as far as can be seen. Its own process says so some milliseconds before the daemon does.
    async fn gone(&self, name: &str) {
        if let Some(first) = &self.first
            && let Ok(Ok(())) = tokio::time::timeout(SETTLE, process_ended(first)).await
        {
            return;
        }
        self.docker.state(name, SETTLE).await;
    }

    async fn settle(&self, order: &Order, started: &Started) -> Result<Ended, RuntimeError> {
        let left = self.files.left();
        let told = |error: std::io::Error| {
            RuntimeError(format!("the record of the container's first process: {error}"))
        };
        let mut record = match left.map_err(told)? {
            Some(Left::NeverBegan) => {
                return Ok(Ended::NeverStarted(
                    "its agent was gone before it told it to go".to_owned(),
                ));
            }
            // The record is whole, and the container's end is only waited for, so that nothing of it lives on.
            Some(Left::Ended(record)) => {
                self.gone(&body::name(&order.spec.id)).await;
                *record
            }
            None => {
                let seen = self.docker.state(&body::name(&order.spec.id), SETTLE).await;
                self.without_record(order, started, &seen)
            }
        };
        record.image_digest.clone_from(&order.image_digest);
        finish(self.files.path(), &record)
            .map_err(|error| RuntimeError(format!("the exit record: {error}")))?;
        Ok(Ended::Finished(Box::new(record)))
    }

    /// Our pid 1 was killed before it could write: by the kernel for memory, by us at the end of its time, or by somebody.
    fn without_record(&self, order: &Order, started: &Started, seen: &Seen) -> ExitRecord {
        let lasted = boot().saturating_sub(started.boot);
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        let stopped = self.files.stop_wish().is_some();
        let timed_out = !stopped && lasted_ms >= order.spec.timeout_ms;
        let oom = matches!(seen, Seen::State(state) if state.oom_killed);
        let ended_by = match seen {
            _ if oom || stopped || timed_out => None,
            Seen::State(_) if self.docker.inner.connection.dialect.podman => Some(
                "its container was killed, from outside (podman kill, the host going down) or for its memory: Podman does not \
                 say which",
            ),
            Seen::State(_) => Some(
                "its container was killed from outside: docker kill, the daemon restarting, or the host going down",
            ),
            Seen::Removed => Some("its container was removed from outside while it ran"),
            Seen::Nothing => {
                Some("its first process was killed from outside, and the daemon does not answer")
            }
        };
        // What the pump had in memory is lost, and nobody counted it.
        let stream = |path: &std::path::Path| StreamRecord {
            bytes: Files::length(path),
            end_unknown: true,
            ..StreamRecord::default()
        };
        ExitRecord {
            signal: Some(libc::SIGKILL),
            oom_kills: u32::from(oom),
            timed_out,
            stopped,
            killed_after_grace: stopped || timed_out,
            started: true,
            started_at_ms: started.wall_ms,
            finished_at_ms: wall_ms(),
            duration_ms: lasted_ms,
            stdout: stream(&self.files.common.stdout()),
            stderr: stream(&self.files.common.stderr()),
            ended_by: ended_by.map(str::to_owned),
            ..ExitRecord::default()
        }
    }
}

impl Docker {
    /// What the daemon says of an end, which it may see only within `patience`.
    pub(crate) async fn state(&self, name: &str, patience: Duration) -> Seen {
        let connection = &self.inner.connection;
        let until = boot() + patience;
        loop {
            let looking = connection.client.inspect_container(name, None);
            match connection
                .read::<Inspected>("cannot look at the container", SETTLE, looking)
                .await
            {
                Ok(found) if !found.state.is_alive() => return Seen::State(found.state),
                // Our pid 1 is gone and the daemon does not know it yet.
                Ok(_) => {}
                Err(error) if error.status() == Some(404) => return Seen::Removed,
                Err(error) => {
                    tracing::debug!(name, %error, "the daemon cannot be asked how a container ended")
                }
            }
            if boot() >= until {
                return Seen::Nothing;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What the daemon knows.
pub(crate) enum Seen {
    State(State),
    Removed,
    Nothing,
}

/// The daemon's stream, with the client in it, so that it can be kept.
fn async_stream(
    client: bollard::Docker,
    name: String,
    options: bollard::query_parameters::WaitContainerOptions,
) -> impl Stream<Item = Result<bollard::models::ContainerWaitResponse, bollard::errors::Error>> + Send {
    futures::stream::once(async move {
        let mut stream = Box::pin(client.wait_container(&name, Some(options)));
        stream.next().await
    })
    .filter_map(|said| async move { said })
}

#[async_trait]
impl Attached for Running {
    async fn wait(&self) -> Result<Ended, RuntimeError> {
        let read = self.files.common.exit_record();
        if let Some(record) =
            read.map_err(|error| RuntimeError(format!("cannot read the exit record: {error}")))?
        {
            return Ok(Ended::Finished(Box::new(record)));
        }
        let (Some(order), Some(started)) = (self.files.order(), self.files.started()) else {
            // Somebody took its files away: it may have run, and nothing says how it ended.
            return Ok(Ended::Lost);
        };
        self.ended(&order, &started).await;
        // One of those who wait writes the record, the others read it.
        let begun = self.docker.begin(self.files.path());
        let _turn = begun.start.turn.lock().await;
        if let Ok(Some(record)) = self.files.common.exit_record() {
            return Ok(Ended::Finished(Box::new(record)));
        }
        self.settle(&order, &started).await
    }
}
