//! A network that goes wrong as a test wants it: every connection of an agent goes through this proxy, which delays,
//! throttles, stops, cuts, repeats, refuses or answers nonsense. It needs no root and no kernel module.

mod carry;
mod rules;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
};

pub use rules::{Admit, BAD_GATEWAY, GARBAGE, Rules, Way};

/// A listener on loopback in front of a server.
pub struct Proxy {
    address: SocketAddr,
    rules: watch::Sender<Rules>,
    cuts: watch::Sender<u64>,
    seen: Seen,
    /// Carries everything; dropped with the proxy, which ends all connections.
    _runtime: Runtime,
}

/// What became of each connection, in the order of their opening.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<Connection>>>);

/// One connection from the outside.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// When it was accepted.
    pub opened: Instant,
    /// Bytes from the client.
    pub up: u64,
    /// Bytes from the server.
    pub down: u64,
    /// When the client closed or reset its side.
    pub left_by_client: Option<Instant>,
    /// When the server closed or reset its side.
    pub left_by_server: Option<Instant>,
    /// Whether nothing of it is carried any more.
    pub over: bool,
}

impl Seen {
    fn all(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> usize {
        let mut all = self.all();
        all.push(Connection {
            opened: Instant::now(),
            up: 0,
            down: 0,
            left_by_client: None,
            left_by_server: None,
            over: false,
        });
        all.len() - 1
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut Connection)) {
        change(&mut self.all()[at]);
    }
}

impl Proxy {
    /// In front of this server; as good as a cable at first.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let proxy = Self {
            address: listener.local_addr().expect("an address"),
            rules: watch::Sender::new(Rules::default()),
            cuts: watch::Sender::new(0),
            seen: Seen::default(),
            _runtime: runtime,
        };
        let (rules, cuts, seen) = (
            proxy.rules.subscribe(),
            proxy.cuts.subscribe(),
            proxy.seen.clone(),
        );
        proxy._runtime.spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(admit(client, server, rules.clone(), cuts.clone(), seen.clone()));
                }
            }
        });
        proxy
    }

    /// Its address, for whoever is to go through it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the rules, also for what is open.
    pub fn set(&self, change: impl FnOnce(&mut Rules)) {
        self.rules.send_modify(change);
    }

    /// A cable again. What was kept arrives.
    pub fn heal(&self) {
        self.rules.send_replace(Rules::default());
    }

    /// Resets every connection that is open now, at both ends.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Every connection so far.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.seen.all().clone()
    }

    /// How many are carried now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.seen.all().iter().filter(|one| !one.over).count()
    }
}

async fn admit(
    client: TcpStream,
    server: SocketAddr,
    rules: watch::Receiver<Rules>,
    cuts: watch::Receiver<u64>,
    seen: Seen,
) {
    let admit = rules.borrow().admit;
    match admit {
        // Reset at once: what a client sees of a port without a listener, but for the handshake.
        Admit::Refuse => drop(client.set_zero_linger()),
        Admit::Answer(text) => carry::answer(client, text).await,
        Admit::Pass | Admit::Twice => {
            // A server that is down is down through the proxy, too.
            let Ok(stream) = TcpStream::connect(server).await else {
                drop(client.set_zero_linger());
                return;
            };
            let twin = match admit {
                Admit::Twice => TcpStream::connect(server).await.ok(),
                _ => None,
            };
            let at = seen.open();
            carry::connection(client, stream, twin, (rules, cuts), (&seen, at)).await;
            seen.change(at, |one| one.over = true);
        }
    }
}
