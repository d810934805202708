//! Below tonic: the user's connections are turmoil's TCP itself, those of server and agents go through the kernels of their
//! hosts ([`crate::kernel`]), which go on while their processes stand still.

use std::io;

use async_trait::async_trait;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::sync::{Mutex, mpsc, oneshot};
use tonic::transport::{Channel, Endpoint, Error};
use turmoil::net::TcpStream;

use crate::{kernel::Dial, socket::Socket};

/// Where the server listens.
pub const PORT: u16 = 7911;

/// Connections that the server's kernel has accepted.
#[derive(Debug)]
pub struct Listener(pub Mutex<mpsc::Receiver<Socket>>);

#[async_trait]
impl server::Listener for Listener {
    type Stream = Socket;
    async fn accept(&self) -> io::Result<Socket> {
        let accepted = self.0.lock().await.recv().await;
        accepted.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// How an agent reaches the server: it asks its kernel.
#[derive(Debug, Clone)]
pub struct Dialler(pub mpsc::Sender<Dial>);

#[async_trait]
impl agent::Dial for Dialler {
    async fn dial(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        let dials = self.0.clone();
        let connect = move |to: Uri| ask(dials.clone(), to);
        endpoint.connect_with_connector(tower::service_fn(connect)).await
    }
}

async fn ask(dials: mpsc::Sender<Dial>, to: Uri) -> io::Result<TokioIo<Socket>> {
    let (reply, answered) = oneshot::channel();
    let (host, port) = place(&to);
    let gone = || io::Error::from(io::ErrorKind::NotConnected);
    dials.send(Dial { host, port, reply }).await.map_err(|_| gone())?;
    Ok(TokioIo::new(answered.await.map_err(|_| gone())??))
}

/// How the user reaches it.
#[derive(Debug, Clone, Copy)]
pub struct Direct;

#[async_trait]
impl agent::Dial for Direct {
    async fn dial(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        endpoint.connect_with_connector(tower::service_fn(connect)).await
    }
}

async fn connect(to: Uri) -> io::Result<TokioIo<TcpStream>> {
    Ok(TokioIo::new(TcpStream::connect(place(&to)).await?))
}

fn place(to: &Uri) -> (String, u16) {
    let host = to.host().unwrap_or_default().to_owned();
    (host, to.port_u16().unwrap_or(PORT))
}
