//! A stream of answers that a task of its own makes: tonic's bidirectional calls return only with the response's
//! headers, so nothing may be awaited before them.

use std::{fmt::Display, future::Future, time::Duration};

use futures::{StreamExt, future::ready, stream, stream::BoxStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::errors;

/// How long a reader may leave what is sent to it unread.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where the task puts its answers.
pub(super) struct Out<T>(mpsc::Sender<T>);

impl<T> Out<T> {
    /// Sends; a reader that does not read is given up.
    ///
    /// # Errors
    /// Why it does not take it.
    pub(super) async fn send(&self, item: T) -> Result<(), Gone> {
        use mpsc::error::SendTimeoutError as E;
        self.0
            .send_timeout(item, PATIENCE)
            .await
            .map_err(|error| match error {
                E::Timeout(_) => Gone::Slow,
                E::Closed(_) => Gone::Closed,
            })
    }

    /// Waits until the reader hangs up.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Why a reader takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// It does not read.
    Slow,
    /// It hung up.
    Closed,
}

impl Gone {
    /// The stream's last word: `field` of a request goes on after `position`.
    pub(super) fn after(self, field: &str, position: impl Display) -> Status {
        match self {
            Self::Slow => errors::go_on(Code::ResourceExhausted, "the reader is too slow", field, position),
            Self::Closed => self.into(),
        }
    }
}

impl From<Gone> for Status {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Slow => errors::exhausted("what is sent is not read", Duration::ZERO),
            Gone::Closed => Self::cancelled("the reader hung up"),
        }
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
            Err(error) => Some(errors::defect("a stream's task ended by a defect", error)),
        }
    };
    let last = stream::once(end).filter_map(|error| ready(error.map(Err)));
    ReceiverStream::new(rx).map(Ok).chain(last).boxed()
}
