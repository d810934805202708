//! The body of an answer: ends at its call's deadline, with a status, and gives the call's place back.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, http::header};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep},
};
use tonic::{Code, Status};

use super::unreadable;

/// DEADLINE_EXCEEDED.
pub(super) fn exceeded() -> Status {
    Status::new(
        Code::DeadlineExceeded,
        "the call's deadline is over: a write that had begun is finished all the same, so look before you repeat it, or \
         repeat it with its idempotency_key; a stream goes on from the last that you got",
    )
}

pub(super) struct Ending {
    /// None when it has ended.
    body: Option<Body>,
    until: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Ending {
    pub(super) fn new(body: Body, until: Option<Instant>, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            body: Some(body),
            until: until.map(|until| Box::pin(tokio::time::sleep_until(until))),
            _place: place,
        }
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Before the body: one that always has more must not outrun its deadline.
        if let Some(until) = &mut self.until
            && until.as_mut().poll(cx).is_ready()
        {
            self.until = None;
            return Poll::Ready(self.body.take().map(|_| Ok(trailers(exceeded()))));
        }
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame.map(|frame| frame.map(precise)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.body, &self.until) {
            (Some(body), None) => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

/// The transport's own words on what it could not read are vague: said again, precisely.
fn precise(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.trailers_ref().and_then(unreadable::in_headers) {
        Some(status) => trailers(status),
        None => frame,
    }
}

fn trailers(status: Status) -> Frame<Bytes> {
    let mut headers = status.into_http::<()>().into_parts().0.headers;
    headers.remove(header::CONTENT_TYPE);
    Frame::trailers(headers)
}
