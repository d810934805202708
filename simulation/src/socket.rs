//! A connection as a process holds it: what its kernel keeps of it both ways, and the word that it was reset.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tonic::transport::server::Connected;

/// Bytes that a kernel keeps each way.
const BUFFER: usize = 64 * 1024;

/// The process's end.
#[derive(Debug)]
pub struct Socket {
    stream: DuplexStream,
    reset: Arc<AtomicBool>,
}

/// The kernel's end.
#[derive(Debug)]
pub struct Outlet {
    /// What the process wrote and reads.
    pub stream: DuplexStream,
    reset: Arc<AtomicBool>,
}

impl Outlet {
    /// Ends it with an error.
    pub fn reset(self) {
        self.reset.store(true, Ordering::Relaxed);
    }
}

/// Both ends of a new one.
#[must_use]
pub fn pair() -> (Socket, Outlet) {
    let (stream, other) = tokio::io::duplex(BUFFER);
    let reset = Arc::new(AtomicBool::new(false));
    let outlet = Outlet {
        stream: other,
        reset: Arc::clone(&reset),
    };
    (Socket { stream, reset }, outlet)
}

impl Connected for Socket {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let is_over = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before;
        if is_over && self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
