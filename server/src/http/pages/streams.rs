//! Streams of events for browsers (`text/event-stream`): counted, kept alive, and ended so that a browser knows that it is
//! the end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::StatusCode,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::api::errors;

/// Streams at once.
const STREAMS: usize = 512;
/// A comment is sent when nothing else is, so that proxies and browsers see that the stream lives.
const ALIVE: Duration = Duration::from_secs(15);
/// When to ask again where there are too many.
const AGAIN: Duration = Duration::from_secs(5);

/// The places for streams.
#[derive(Clone)]
pub(in crate::http::pages) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

impl Streams {
    /// A place, given back when the stream ends.
    pub(in crate::http::pages) fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            errors::exhausted(
                format_args!("{STREAMS} streams are open, which is all that there are"),
                AGAIN,
            )
        })
    }
}

/// The event behind which nothing follows.
pub(in crate::http::pages) fn end() -> Event {
    Event::default().event("end").data("end")
}

/// To one who has everything: a browser does not ask again after this (HTML, section 9.2.3).
pub(in crate::http::pages) fn nothing_more() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

pub(in crate::http::pages) fn respond(
    events: impl Stream<Item = Event> + Send + 'static,
    place: OwnedSemaphorePermit,
) -> Response {
    let events = events.map(move |event| {
        let _held = &place;
        Ok::<_, Infallible>(event)
    });
    let keep_alive = KeepAlive::new().interval(ALIVE).text("alive");
    Sse::new(events).keep_alive(keep_alive).into_response()
}
