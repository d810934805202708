//! A host's kernel, as turmoil's software: it holds the connections of the host's one process, accepts and acknowledges
//! while that stands still, and is gone with it when it is killed.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};
use turmoil::net::{TcpListener, TcpStream};

use crate::{
    net::PORT,
    socket::{self, Outlet, Socket},
};

/// Connections that wait to be accepted, and dials under way.
const BACKLOG: usize = 128;

/// A process asks for a connection.
#[derive(Debug)]
pub struct Dial {
    /// To which host.
    pub host: String,
    /// To which port.
    pub port: u16,
    /// The connection, or why there is none.
    pub reply: oneshot::Sender<io::Result<Socket>>,
}

/// What a process has of its kernel.
#[derive(Debug)]
pub struct Ports {
    /// Who dialled it.
    pub accepted: mpsc::Receiver<Socket>,
    /// Where it dials.
    pub dials: mpsc::Sender<Dial>,
}

#[derive(Debug)]
struct Wires {
    accepted: mpsc::Sender<Socket>,
    dials: mpsc::Receiver<Dial>,
}

/// One host's kernel, over all its boots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Kernel {
    listens: bool,
    next: Arc<Mutex<Option<Wires>>>,
}

impl Kernel {
    /// Of a host; only the server's listens.
    #[must_use]
    pub fn new(listens: bool) -> Self {
        Self {
            listens,
            next: Arc::default(),
        }
    }

    /// For the next boot: what its process gets. To be called before turmoil runs [`Kernel::run`].
    #[must_use]
    pub fn boot(&self) -> Ports {
        let (accepted, accepts) = mpsc::channel(BACKLOG);
        let (dials, asked) = mpsc::channel(BACKLOG);
        let wires = Wires {
            accepted,
            dials: asked,
        };
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(wires);
        Ports {
            accepted: accepts,
            dials,
        }
    }

    /// Until the host is switched off.
    ///
    /// # Errors
    /// It cannot listen.
    pub async fn run(self) -> turmoil::Result {
        let wires = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Wires { accepted, mut dials }) = wires else {
            return Err("a kernel runs that was not booted".into());
        };
        if self.listens {
            let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
            tokio::task::spawn_local(accepts(listener, accepted));
        }
        while let Some(dial) = dials.recv().await {
            tokio::task::spawn_local(dialled(dial));
        }
        // Its process is gone, and it goes with it.
        std::future::pending().await
    }
}

async fn accepts(listener: TcpListener, accepted: mpsc::Sender<Socket>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (socket, outlet) = socket::pair();
        // A full backlog refuses, and so does a process that is gone.
        if accepted.try_send(socket).is_ok() {
            tokio::task::spawn_local(carry(tcp, outlet));
        }
    }
}

async fn dialled(dial: Dial) {
    let Dial {
        host,
        port,
        mut reply,
    } = dial;
    let connected = tokio::select! {
        biased;
        () = reply.closed() => return,
        connected = TcpStream::connect((host.as_str(), port)) => connected,
    };
    match connected {
        Ok(tcp) => {
            let (socket, outlet) = socket::pair();
            if reply.send(Ok(socket)).is_ok() {
                carry(tcp, outlet).await;
            }
        }
        // Who asked may have gone.
        Err(error) => drop(reply.send(Err(error))),
    }
}

async fn carry(mut tcp: TcpStream, mut outlet: Outlet) {
    let carried = tokio::io::copy_bidirectional(&mut tcp, &mut outlet.stream).await;
    if carried.is_err() {
        outlet.reset();
    }
}
