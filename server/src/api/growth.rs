//! Whether a log has grown, for a reader that asks for its rows elsewhere.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use proto::v1;
use tonic::Status;
use types::AttemptKey;

use super::{stream::answer, watch};
use crate::{Core, store::LogStream};

/// Pieces that wait to be counted.
const AHEAD: usize = 4;

/// A log as it grows.
pub(crate) struct Growth {
    pieces: BoxStream<'static, Result<v1::RunLogsResponse, Status>>,
    /// How it ended, once it has.
    over: Option<Grew>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grew {
    /// There is more.
    More,
    /// Nothing follows.
    Ended,
    /// The server stops, or the rest has not come from the agent: to be asked again.
    Unknown,
}

/// The growth of a log from an offset on.
pub(crate) fn log_growth(core: Core, attempt: AttemptKey, stream: LogStream, offset: u64) -> Growth {
    let wanted = watch::Wanted {
        attempt,
        stream,
        // Only what grows is asked for.
        service: String::new(),
        offset,
        follow: true,
    };
    let pieces = answer(
        AHEAD,
        move |out| async move { watch::log(&core, wanted, &out).await },
    );
    Growth { pieces, over: None }
}

impl Growth {
    /// Waits for news, and gathers those that come within `pause` of it.
    pub(crate) async fn grew(&mut self, pause: Duration) -> Grew {
        if !self.piece().await {
            return self.over.unwrap_or(Grew::Unknown);
        }
        let gather = async { while self.piece().await {} };
        // Whether it ended meanwhile is said by the next call.
        let _gathered = tokio::time::timeout(pause, gather).await;
        Grew::More
    }

    /// Whether another piece came.
    async fn piece(&mut self) -> bool {
        if self.over.is_some() {
            return false;
        }
        self.over = match self.pieces.next().await {
            Some(Ok(_)) => return true,
            None => Some(Grew::Ended),
            Some(Err(_)) => Some(Grew::Unknown),
        };
        false
    }
}
