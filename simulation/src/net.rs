//! turmoil's TCP below tonic, on both sides.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use async_trait::async_trait;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::{Channel, Endpoint, Error, server::Connected};
use turmoil::net::{TcpListener, TcpStream};

/// Where the server listens.
pub const PORT: u16 = 7911;

/// Connections to the server.
pub struct Listener(TcpListener);

impl Listener {
    /// Listens on this host.
    ///
    /// # Errors
    /// Somebody does already.
    pub async fn bind() -> io::Result<Self> {
        Ok(Self(TcpListener::bind(("0.0.0.0", PORT)).await?))
    }
}

#[async_trait]
impl server::Listener for Listener {
    type Stream = Stream;
    async fn accept(&self) -> io::Result<Stream> {
        Ok(Stream(self.0.accept().await?.0))
    }
}

/// An accepted connection.
pub struct Stream(TcpStream);

impl Connected for Stream {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How agents and users reach it.
#[derive(Debug, Clone, Copy)]
pub struct Dialler;

#[async_trait]
impl agent::Dial for Dialler {
    async fn dial(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        endpoint.connect_with_connector(tower::service_fn(connect)).await
    }
}

async fn connect(to: Uri) -> io::Result<TokioIo<TcpStream>> {
    let host = to.host().unwrap_or_default().to_owned();
    Ok(TokioIo::new(
        TcpStream::connect((host.as_str(), to.port_u16().unwrap_or(PORT))).await?,
    ))
}
