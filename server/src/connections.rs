//! Accepted connections: at most so many, each with a time to say what it speaks, all cut at the end.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// Connections at once; beyond them new ones wait in the kernel's queue.
const CONNECTIONS: usize = 8_192;
/// How long a connection may take to say what it speaks. Behind it hyper's own limits hold: 30 s for the headers of
/// HTTP/1, keepalive for HTTP/2; but it waits for the first bytes without end.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// The pause after an accept that failed (out of descriptors, say): the next try must not spin.
const PAUSE: Duration = Duration::from_millis(50);
/// What an HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Where connections come from: the kernel's TCP, or a simulation of it.
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;
    /// The next one.
    ///
    /// # Errors
    /// It cannot be accepted; the one after it may be.
    async fn accept(&self) -> io::Result<Self::Stream>;
}

/// Without Nagle's delay.
#[async_trait]
impl Listener for TcpListener {
    type Stream = TcpStream;
    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = Self::accept(self).await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone at once");
        }
        Ok(stream)
    }
}

/// Accepted connections; cut by the token.
pub(crate) fn incoming<L: Listener>(
    listener: L,
    cut: CancellationToken,
) -> impl futures::Stream<Item = Result<Counted<L::Stream>, io::Error>> {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    futures::stream::unfold((listener, permits, cut), |(listener, permits, cut)| async move {
        let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
        let item = match listener.accept().await {
            Ok(stream) => Ok(Counted::new(stream, permit, cut.clone())),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                Err(error)
            }
        };
        Some((item, (listener, permits, cut)))
    })
    .boxed()
}

/// A connection that gives its place back when it ends.
pub(crate) struct Counted<S> {
    stream: S,
    _place: OwnedSemaphorePermit,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// While it may still be about to say that it speaks HTTP/2: how much of that it said, and until when it may.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> Counted<S> {
    fn new(stream: S, place: OwnedSemaphorePermit, cut: CancellationToken) -> Self {
        Self {
            stream,
            _place: place,
            cut: Box::pin(cut.cancelled_owned()),
            opening: Some((0, Box::pin(tokio::time::sleep(FIRST_BYTES)))),
        }
    }

    fn heard(&mut self, bytes: &[u8]) {
        if let Some((said, _)) = &mut self.opening {
            let rest = &PREFACE[*said..];
            let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            *said += same;
            if same < bytes.len() || *said == PREFACE.len() {
                self.opening = None;
            }
        }
    }
}

impl<S: Connected> Connected for Counted<S> {
    type ConnectInfo = S::ConnectInfo;
    fn connect_info(&self) -> S::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has stopped",
            )));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) => self.heard(&buf.filled()[before..]),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if let Some((_, until)) = &mut self.opening
                    && until.as_mut().poll(cx).is_ready()
                {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
