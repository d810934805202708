//! Histories and logs as streams: what is stored, then what comes, with no gap.

use std::time::Duration;

use futures::stream::BoxStream;
use proto::v1;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use types::{AttemptKey, RunId};

use super::convert;
use crate::{
    Core,
    runs::load,
    store::{LogStream, StreamId},
};

/// Messages that wait for a reader.
const AHEAD: usize = 256;
/// How long a reader may leave them unread.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events read at once.
const PAGE: u32 = 256;
/// Bytes of a log read at once.
const LOG_BYTES: usize = 1024 * 1024;

/// A run's events after a seq; ends after its last.
pub(super) fn events(core: Core, run: RunId, after: u64) -> BoxStream<'static, Result<v1::Event, Status>> {
    let (tx, rx) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if let Err(status) = send_events(&core, &run, after, &tx).await {
            drop(tx.send_timeout(Err(status), PATIENCE).await);
        }
    });
    Box::pin(ReceiverStream::new(rx))
}

async fn send_events(
    core: &Core,
    run: &RunId,
    mut after: u64,
    tx: &mpsc::Sender<Result<v1::Event, Status>>,
) -> Result<(), Status> {
    let stream = StreamId::Run(run.clone());
    let mut committed = core.store.committed();
    loop {
        // Marked before the read: what is committed after it wakes us again.
        committed.mark_unchanged();
        let mut progress = core.runs.progress(run);
        if let Some(progress) = &mut progress {
            progress.mark_unchanged();
        }
        loop {
            let page = core
                .store
                .events(&stream, after, PAGE)
                .await
                .map_err(|e| super::store_status(&e))?;
            let full = page.len() as u64 == u64::from(PAGE);
            for stored in page {
                after = stored.seq;
                let last = stored.kind == "run.ended";
                put(tx, convert::event(run, stored)).await?;
                if last && finished(core, run).await? {
                    return Ok(());
                }
            }
            if !full {
                break;
            }
        }
        if finished(core, run).await? && at_end(core, &stream, after).await? {
            return Ok(());
        }
        changed(core, progress, &mut committed).await?;
    }
}

/// Waits for the run's own progress where its task is known, else for any commit.
async fn changed(
    core: &Core,
    progress: Option<watch::Receiver<u64>>,
    committed: &mut watch::Receiver<u64>,
) -> Result<(), Status> {
    let stopping = || Status::unavailable("the server is stopping: go on from the last seq");
    let run = async {
        match progress {
            // A task that ended is no error: the next look sees the end.
            Some(mut progress) => drop(progress.changed().await),
            None => drop(committed.changed().await),
        }
    };
    tokio::select! {
        () = run => Ok(()),
        () = core.shutdown.cancelled() => Err(stopping()),
    }
}

async fn finished(core: &Core, run: &RunId) -> Result<bool, Status> {
    let head = core.store.run(run).await.map_err(|e| super::store_status(&e))?;
    Ok(head.is_none_or(|head| head.outcome.is_some()))
}

async fn at_end(core: &Core, stream: &StreamId, after: u64) -> Result<bool, Status> {
    Ok(core
        .store
        .events(stream, after, 1)
        .await
        .map_err(|e| super::store_status(&e))?
        .is_empty())
}

/// Which part of a log is wanted.
pub(super) struct Wanted {
    pub(super) attempt: AttemptKey,
    pub(super) stream: LogStream,
    pub(super) offset: u64,
    pub(super) follow: bool,
}

/// One attempt's log from an offset on. Ends at what is there, or with `follow` when nothing can come any more.
pub(super) async fn log(
    core: &Core,
    mut wanted: Wanted,
    tx: &mpsc::Sender<Result<v1::RunLogsResponse, Status>>,
) -> Result<(), Status> {
    let mut committed = core.store.logs_committed();
    loop {
        committed.mark_unchanged();
        // Asked before the read: if it is over by now, all that it wrote and sent is read below.
        let over = !wanted.follow || attempt_over(core, &wanted.attempt).await?;
        let mut ended = false;
        loop {
            let pieces = core
                .store
                .read_log(&wanted.attempt, wanted.stream, wanted.offset, LOG_BYTES)
                .await
                .map_err(|e| super::store_status(&e))?;
            if pieces.is_empty() {
                break;
            }
            let before = wanted.offset;
            for piece in pieces {
                wanted.offset = piece.offset + piece.data.len() as u64;
                ended |= piece.end;
                put(tx, response(&wanted.attempt, piece)).await?;
            }
            if wanted.offset == before {
                break;
            }
        }
        if ended || !wanted.follow {
            return Ok(());
        }
        // The last bytes may come after the report: the stream's own end is waited for, within reason.
        let patience = if over {
            Duration::from_secs(2)
        } else {
            Duration::from_secs(3_600)
        };
        tokio::select! {
            changed = committed.changed() => if changed.is_err() { return Ok(()) },
            () = tokio::time::sleep(patience) => if over { return Ok(()) },
            () = core.shutdown.cancelled() => return Err(Status::unavailable("the server is stopping")),
        }
    }
}

async fn attempt_over(core: &Core, key: &AttemptKey) -> Result<bool, Status> {
    let at = engine::At {
        step: key.step.clone(),
        index: key.index,
        attempt: key.attempt,
    };
    let run = load(&core.store, &key.run)
        .await
        .map_err(|e| super::store_status(&e))?;
    Ok(run.is_none_or(|run| run.attempt(&at).is_none_or(|attempt| attempt.life.is_over())))
}

fn response(key: &AttemptKey, piece: crate::store::LogPiece) -> v1::RunLogsResponse {
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
    }
}

async fn put<T>(tx: &mpsc::Sender<Result<T, Status>>, item: T) -> Result<(), Status> {
    use mpsc::error::SendTimeoutError as E;
    tx.send_timeout(Ok(item), PATIENCE)
        .await
        .map_err(|error| match error {
            E::Timeout(_) => {
                Status::resource_exhausted("the reader is too slow: go on from the last that it got")
            }
            E::Closed(_) => Status::cancelled("the reader hung up"),
        })
}
