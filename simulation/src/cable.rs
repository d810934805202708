//! A cable in memory between an agent and its server. It carries bytes at once and in order, counts them, is cut after the one
//! that it is told, and can be pulled out.

use std::{
    fmt, io,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Error};

use crate::socket::{self, Outlet, Socket};

/// Bytes that are carried at once.
const CHUNK: usize = 8 * 1024;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the agent to the server.
    Up,
    /// From the server to the agent.
    Down,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

impl FromStr for Way {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Up, Self::Down]
            .into_iter()
            .find(|way| way.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no way: up or down"))
    }
}

/// Where it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The how manieth connection of the conversation, from 0.
    pub connection: usize,
    /// Whose bytes are counted.
    pub way: Way,
    /// So many pass; with the next one both ends are reset.
    pub after: u64,
}

/// What one connection has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the agent.
    pub up: u64,
    /// From the server.
    pub down: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Which conversation it is.
    conversation: u64,
    cut: Option<Cut>,
    is_cut: bool,
    /// By connection, in the order of their opening.
    carried: Vec<Carried>,
    /// Until it is pulled out.
    plugged: CancellationToken,
}

/// The cable. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cable {
    state: Arc<Mutex<State>>,
    server: mpsc::Sender<Socket>,
}

/// One connection.
#[derive(Debug, Clone, Copy)]
struct Connection {
    conversation: u64,
    at: usize,
}

impl Cable {
    /// To a server that accepts from there.
    #[must_use]
    pub fn to(server: mpsc::Sender<Socket>) -> Self {
        Self {
            state: Arc::default(),
            server,
        }
    }

    /// Another one to the same server, which is not cut.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            state: Arc::default(),
            server: self.server.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A conversation begins, of which no connection is open yet.
    pub fn begin(&self, cut: Option<Cut>) {
        let mut state = self.state();
        *state = State {
            conversation: state.conversation + 1,
            cut,
            ..State::default()
        };
    }

    /// Whether it was cut in this conversation.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// What this conversation's connections have carried so far.
    #[must_use]
    pub fn carried(&self) -> Vec<Carried> {
        self.state().carried.clone()
    }

    /// Resets what is connected and refuses what is dialled, until it is plugged in.
    pub fn pull(&self) {
        self.state().plugged.cancel();
    }

    /// Carries again.
    pub fn plug(&self) {
        self.state().plugged = CancellationToken::new();
    }

    fn connect(&self) -> io::Result<Socket> {
        let plugged = self.state().plugged.clone();
        if plugged.is_cancelled() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, agent) = socket::pair();
        let (theirs, server) = socket::pair();
        self.server
            .try_send(theirs)
            .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        let connection = {
            let mut state = self.state();
            state.carried.push(Carried::default());
            Connection {
                conversation: state.conversation,
                at: state.carried.len() - 1,
            }
        };
        tokio::spawn(self.clone().carry(connection, agent, server, plugged));
        Ok(ours)
    }

    async fn carry(
        self,
        connection: Connection,
        mut agent: Outlet,
        mut server: Outlet,
        plugged: CancellationToken,
    ) {
        let carried = {
            let (from_agent, to_agent) = tokio::io::split(&mut agent.stream);
            let (from_server, to_server) = tokio::io::split(&mut server.stream);
            let up = pump(from_agent, to_server, |bytes| {
                self.pass(connection, Way::Up, bytes)
            });
            let down = pump(from_server, to_agent, |bytes| {
                self.pass(connection, Way::Down, bytes)
            });
            plugged
                .run_until_cancelled(async { tokio::try_join!(up, down) })
                .await
        };
        if !matches!(carried, Some(Ok(_))) {
            agent.reset();
            server.reset();
        }
    }

    /// How many of so many bytes pass.
    fn pass(&self, Connection { conversation, at }: Connection, way: Way, bytes: usize) -> usize {
        let mut state = self.state();
        if state.conversation != conversation {
            return bytes;
        }
        let carried = &mut state.carried[at];
        let count = match way {
            Way::Up => &mut carried.up,
            Way::Down => &mut carried.down,
        };
        let before = *count;
        *count += bytes as u64;
        let after = match state.cut {
            // Once: what is dialled after that is a cable again.
            Some(cut) if !state.is_cut && (cut.connection, cut.way) == (at, way) => cut.after,
            _ => return bytes,
        };
        let passes = usize::try_from(after - before).unwrap_or(usize::MAX).min(bytes);
        state.is_cut = passes < bytes;
        passes
    }
}

/// Carries one direction; what does not pass whole ends both.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    pass: impl Fn(usize) -> usize,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let passes = pass(read);
        to.write_all(&chunk[..passes]).await?;
        if passes < read {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}

#[async_trait]
impl agent::Dial for Cable {
    async fn dial(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        let cable = self.clone();
        let connect = move |_| {
            let socket = cable.connect().map(TokioIo::new);
            async { socket }
        };
        endpoint.connect_with_connector(tower::service_fn(connect)).await
    }
}
