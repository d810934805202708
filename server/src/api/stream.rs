//! A stream of answers that a task of its own makes: tonic's bidirectional calls return only with the response's
//! headers, so nothing may be awaited before them.

use std::{future::Future, time::Duration};

use futures::{StreamExt, future::ready, stream, stream::BoxStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// How long a reader may leave what is sent to it unread.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where the task puts its answers.
pub(super) struct Out<T>(mpsc::Sender<T>);

impl<T> Out<T> {
    /// Sends; a reader that does not read is given up.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when it does not read, `CANCELLED` when it hung up.
    pub(super) async fn send(&self, item: T) -> Result<(), Status> {
        use mpsc::error::SendTimeoutError as E;
        self.0
            .send_timeout(item, PATIENCE)
            .await
            .map_err(|error| match error {
                E::Timeout(_) => super::errors::exhausted(
                    "the reader is too slow: go on from the last that it got",
                    Duration::ZERO,
                ),
                E::Closed(_) => Status::cancelled("the reader hung up"),
            })
    }

    /// Waits until the reader hangs up.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Starts the task; the stream gives what it sends (at most `ahead` unread), then its error if it ended with one. The
/// error comes behind all that was sent, so an end without one is always a whole answer.
pub(super) fn answer<T, F>(
    ahead: usize,
    task: impl FnOnce(Out<T>) -> F,
) -> BoxStream<'static, Result<T, Status>>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (tx, rx) = mpsc::channel(ahead);
    let task = tokio::spawn(task(Out(tx)));
    let end = async move {
        match task.await {
            Ok(ended) => ended.err(),
            Err(error) => {
                tracing::error!(%error, "a stream's task ended by a defect");
                Some(Status::internal("a defect of the server; its log says more"))
            }
        }
    };
    let last = stream::once(end).filter_map(|error| ready(error.map(Err)));
    ReceiverStream::new(rx).map(Ok).chain(last).boxed()
}
