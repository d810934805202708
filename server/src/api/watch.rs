//! Histories and logs as streams: what is stored, then what comes, with no gap.

use std::time::Duration;

use futures::stream::BoxStream;
use proto::v1;
use protocol::server::State;
use tokio::sync::watch;
use tonic::Status;
use types::{AttemptKey, RunId};

use super::{
    convert, errors,
    stream::{Out, answer},
};
use crate::{
    Core,
    store::{self, LogEnd, LogStream, StreamId},
};

/// Messages that wait for a reader.
const AHEAD: usize = 64;
/// Events read at once.
const PAGE: u32 = 256;
/// Bytes of a log read at once.
const LOG_BYTES: usize = 1024 * 1024;
/// After a run's task ended: its commit may have come before its end could be seen.
const A_MOMENT: Duration = Duration::from_millis(50);

/// A run's events after a seq; ends after its last.
pub(super) fn events(core: Core, run: RunId, after: u64) -> BoxStream<'static, Result<v1::Event, Status>> {
    answer(AHEAD, move |out| async move {
        send_events(&core, &run, after, &out).await
    })
}

async fn send_events(core: &Core, run: &RunId, mut after: u64, out: &Out<v1::Event>) -> Result<(), Status> {
    let stream = StreamId::Run(run.clone());
    // A reader may go on from behind the end.
    let mut ended = finished(core, run).await?;
    loop {
        // Marked before the read: what is committed after it wakes us again.
        let mut progress = Progress::mark(core, run);
        loop {
            let page = core
                .store
                .events(&stream, after, PAGE)
                .await
                .map_err(|e| errors::store_status(&e))?;
            let full = store::is_cut(&page, PAGE);
            for stored in page {
                let seq = stored.seq;
                ended |= stored.kind == "run.ended";
                out.send(convert::event(run, stored))
                    .await
                    .map_err(|gone| gone.after("after_seq", after))?;
                after = seq;
            }
            if !full {
                break;
            }
        }
        if ended {
            return Ok(());
        }
        tokio::select! {
            () = progress.changed() => {}
            () = out.closed() => return Ok(()),
            () = core.shutdown.cancelled() => return Err(errors::stopping_after("after_seq", after)),
        }
    }
}

/// What wakes a reader of a run: its own progress where its task is known, else any commit.
pub(super) struct Progress {
    run: Option<watch::Receiver<u64>>,
    any: watch::Receiver<u64>,
}

impl Progress {
    /// From now on.
    pub(super) fn mark(core: &Core, run: &RunId) -> Self {
        let mut any = core.store.committed();
        any.mark_unchanged();
        let mut run = core.runs.progress(run);
        if let Some(run) = &mut run {
            run.mark_unchanged();
        }
        Self { run, any }
    }

    /// Waits for news.
    pub(super) async fn changed(&mut self) {
        let changed = match &mut self.run {
            Some(run) => run.changed().await,
            None => self.any.changed().await,
        };
        if changed.is_err() {
            // The run's task ended: no error, the next look sees why; but it must not come at once for ever.
            tokio::time::sleep(A_MOMENT).await;
        }
    }
}

async fn finished(core: &Core, run: &RunId) -> Result<bool, Status> {
    let head = core.store.run(run).await.map_err(|e| errors::store_status(&e))?;
    Ok(head.is_none_or(|head| head.outcome.is_some()))
}

/// Which part of a log is wanted.
pub(super) struct Wanted {
    pub(super) attempt: AttemptKey,
    pub(super) stream: LogStream,
    /// Its name in answers.
    pub(super) service: String,
    pub(super) offset: u64,
    pub(super) follow: bool,
}

/// How long the rest of a log may take to come when its attempt is over, without a byte of it coming.
const REST: Duration = Duration::from_secs(30);
/// The same for a log of which nothing is there, or whose attempt is not known to have ended by itself.
const NOTHING: Duration = Duration::from_secs(2);

/// How long a reader that does not follow waits for the last bytes of an attempt that has just ended: its report and its
/// log come on connections of their own.
const SOON: Duration = Duration::from_secs(1);

/// Where an attempt is, for a reader of its log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// More may come.
    Live,
    /// Its agent reported its end: the rest of the log comes, or has come.
    Finished,
    /// It never ran, or nobody knows its end: nothing is waited for.
    Gone,
}

/// One attempt's log from an offset on. Ends at what is there, or with `follow` at the log's end.
///
/// # Errors
/// `UNAVAILABLE` when the attempt is over and the rest of its log has not come from its agent.
pub(super) async fn log(
    core: &Core,
    mut wanted: Wanted,
    out: &Out<v1::RunLogsResponse>,
) -> Result<(), Status> {
    let mut committed = core.store.logs_committed();
    let mut life = Life::Live;
    let mut any = wanted.offset > 0;
    loop {
        committed.mark_unchanged();
        let mut progress = Progress::mark(core, &wanted.attempt.run);
        if wanted.follow && life == Life::Live {
            // Asked before the read: if it is over by now, all that was stored before is read below.
            life = attempt_life(core, &wanted.attempt).await?;
        }
        let before = wanted.offset;
        let ended = send_log(core, &mut wanted, out).await?;
        any |= wanted.offset > before;
        if ended {
            return Ok(());
        }
        if !wanted.follow {
            return last_bytes(core, wanted, out).await;
        }
        let (live, patience) = match life {
            Life::Live => (true, Duration::MAX),
            Life::Finished if any => (false, REST),
            Life::Finished | Life::Gone => (false, NOTHING),
        };
        let rest = async {
            // Commits of other logs are no news of this one.
            while committed.changed().await.is_ok() {
                if has_more(core, &wanted).await {
                    return;
                }
                committed.mark_unchanged();
            }
            std::future::pending().await
        };
        tokio::select! {
            () = rest => {}
            () = progress.changed(), if live => {}
            () = tokio::time::sleep(patience), if !live => {
                return match life {
                    Life::Finished if any => Err(errors::unavailable(format_args!(
                        "the attempt is over, but the rest of its log has not come from its agent yet: \
                         ask again from offset {}",
                        wanted.offset
                    ))),
                    _ => Ok(()),
                };
            }
            () = out.closed() => return Ok(()),
            () = core.shutdown.cancelled() => return Err(errors::stopping_after("offset", wanted.offset)),
        }
    }
}

/// For a reader that does not follow: the rest of the log of an attempt that has ended and wrote something, if it comes
/// soon; what is there otherwise.
async fn last_bytes(core: &Core, mut wanted: Wanted, out: &Out<v1::RunLogsResponse>) -> Result<(), Status> {
    let mut committed = core.store.logs_committed();
    if !wrote(core, &wanted).await? {
        return Ok(());
    }
    let rest = async {
        loop {
            committed.mark_unchanged();
            if send_log(core, &mut wanted, out).await? || committed.changed().await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(SOON, rest).await.unwrap_or(Ok(()))
}

/// Whether the attempt's own report says that there are bytes in the stream.
async fn wrote(core: &Core, wanted: &Wanted) -> Result<bool, Status> {
    let key = &wanted.attempt;
    let at = engine::At {
        step: key.step.clone(),
        index: key.index,
        attempt: key.attempt,
    };
    let run = core
        .runs
        .load(&key.run)
        .await
        .map_err(|e| errors::store_status(&e))?;
    let report = run.as_ref().and_then(|run| run.attempt(&at)?.report.clone());
    Ok(report.is_some_and(|report| match wanted.stream {
        LogStream::Stdout => report.usage.stdout_bytes > 0,
        LogStream::Stderr => report.usage.stderr_bytes > 0,
        LogStream::ServiceOut(_) => report.services.iter().any(|s| s.stdout_bytes > 0),
        LogStream::ServiceErr(_) => report.services.iter().any(|s| s.stderr_bytes > 0),
    }))
}

/// Sends what is there; whether the log's end was there.
async fn send_log(core: &Core, wanted: &mut Wanted, out: &Out<v1::RunLogsResponse>) -> Result<bool, Status> {
    loop {
        let pieces = core
            .store
            .read_log(&wanted.attempt, wanted.stream, wanted.offset, LOG_BYTES)
            .await
            .map_err(|e| errors::store_status(&e))?;
        let before = wanted.offset;
        let mut ended = false;
        for piece in pieces {
            let behind = wanted.offset.max(piece.offset + piece.data.len() as u64);
            ended |= piece.end.is_end();
            // The mark of an ordinary end alone is nothing to send.
            if !piece.data.is_empty() || piece.lost > 0 || piece.end == LogEnd::Unknown {
                out.send(response(wanted, piece))
                    .await
                    .map_err(|gone| gone.after("offset", wanted.offset))?;
            }
            wanted.offset = behind;
        }
        if ended || wanted.offset == before {
            return Ok(ended);
        }
    }
}

/// Whether there is something to read, or an error that the next read will say.
async fn has_more(core: &Core, wanted: &Wanted) -> bool {
    let read = core
        .store
        .read_log(&wanted.attempt, wanted.stream, wanted.offset, 1);
    read.await.map_or(true, |pieces| !pieces.is_empty())
}

async fn attempt_life(core: &Core, key: &AttemptKey) -> Result<Life, Status> {
    let at = engine::At {
        step: key.step.clone(),
        index: key.index,
        attempt: key.attempt,
    };
    let run = core
        .runs
        .load(&key.run)
        .await
        .map_err(|e| errors::store_status(&e))?;
    let attempt = run.as_ref().and_then(|run| run.attempt(&at));
    Ok(match attempt.map(|attempt| attempt.life.state()) {
        Some(State::Queued | State::Out { .. } | State::Lost { .. }) => Life::Live,
        Some(State::Finished { .. }) => Life::Finished,
        Some(State::Settled { .. } | State::Withdrawn) | None => Life::Gone,
    })
}

fn response(wanted: &Wanted, piece: store::LogPiece) -> v1::RunLogsResponse {
    let key = &wanted.attempt;
    v1::RunLogsResponse {
        attempt: Some(v1::AttemptRef {
            run_id: key.run.to_string(),
            step: key.step.clone(),
            index: key.index,
            attempt: key.attempt,
        }),
        stream: convert::log_stream_wire(piece.stream).into(),
        offset: piece.offset,
        data: piece.data,
        lost: piece.lost,
        service: wanted.service.clone(),
        end_unknown: piece.end == LogEnd::Unknown,
    }
}
