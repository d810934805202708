//! The server: one workspace, one port, one shutdown token.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{Router, routing};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    api,
    calls::{Call, Calls},
    config::{Config, Limits},
    control,
    faults::{Fault, Faults},
    ids::Ts,
    limits::Limiter,
    page, snapshot,
    state::Workspace,
    upload,
    wire::{Switch, Wires},
};

/// What changes while the emulator runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) ws: Workspace,
    pub(crate) limiter: Limiter,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

/// What every request shares.
pub(crate) struct Shared {
    pub(crate) token: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) limits: Limits,
    started: Instant,
    live: Mutex<Live>,
}

/// A reader of the emulator's state, for assertions.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Shared>);

/// The wall clock, as a `ts`.
pub(crate) fn now() -> Ts {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Ts::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 2))
}

impl Shared {
    fn new(config: Config) -> Self {
        let ws = Workspace::new(&config, now());
        let live = Live {
            ws,
            limiter: Limiter::default(),
            faults: Faults::default(),
            calls: Calls::default(),
        };
        Self {
            token: config.token,
            scopes: config.scopes,
            limits: config.limits,
            started: Instant::now(),
            live: Mutex::new(live),
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The live part; never held across an await.
    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// The same JSON as `GET /_emulator/state`.
    pub fn state(&self) -> Value {
        snapshot::workspace(&self.0.live().ws)
    }

    /// One channel of [`Handle::state`], by name.
    pub fn channel(&self, name: &str) -> Option<Value> {
        let live = self.0.live();
        let channel = live.ws.channels.iter().find(|channel| channel.name == name)?;
        Some(snapshot::channel(channel, &live.ws))
    }

    /// The calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.0.live().calls.list()
    }

    /// Injects a fault.
    ///
    /// # Errors
    /// Says what is wrong with the fault itself: an unknown method, zero times, a status out of range.
    pub fn inject(&self, fault: Fault) -> Result<(), String> {
        fault.check()?;
        self.0.live().faults.add(fault);
        Ok(())
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/{method}", routing::any(api::call))
        .route("/upload/v1/{ticket}", routing::post(upload::receive))
        .route(
            "/_emulator/faults",
            routing::post(control::add_fault)
                .get(control::faults)
                .delete(control::clear_faults),
        )
        .route("/_emulator/state", routing::get(control::state))
        .route("/_emulator/calls", routing::get(control::calls))
        .route("/_emulator/channels", routing::post(control::add_channel))
        .route("/_emulator/messages", routing::post(control::add_message))
        .route("/", routing::get(page::home))
        .route("/channels/{name}", routing::get(page::channel))
        .route("/style.css", routing::get(page::style))
        .with_state(shared)
}

async fn run(listener: TcpListener, shared: Arc<Shared>, shutdown: CancellationToken) -> io::Result<()> {
    let service = router(shared).into_make_service_with_connect_info::<Switch>();
    axum::serve(Wires(listener), service)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

/// Serves the workspace until `shutdown`, then finishes the requests in hand.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, config: Config, shutdown: CancellationToken) -> io::Result<()> {
    run(listener, Arc::new(Shared::new(config)), shutdown).await
}

/// A running emulator; dropping it stops it.
pub struct Emulator {
    address: SocketAddr,
    handle: Handle,
    shutdown: CancellationToken,
    task: Option<JoinHandle<io::Result<()>>>,
}

/// Starts an emulator at `config.listen` in the background.
///
/// # Errors
/// When the address cannot be bound.
pub async fn spawn(config: Config) -> io::Result<Emulator> {
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(config));
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(run(listener, Arc::clone(&shared), shutdown.clone()));
    Ok(Emulator {
        address,
        handle: Handle(shared),
        shutdown,
        task: Some(task),
    })
}

impl Emulator {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base of the Web API, `http://…/api`, in place of `https://slack.com/api`.
    pub fn api_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The state, for assertions.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Stops, and waits until the requests in hand are answered.
    ///
    /// # Errors
    /// Those of the server; a panic in it counts as one.
    pub async fn shutdown(mut self) -> io::Result<()> {
        self.shutdown.cancel();
        match self.task.take() {
            Some(task) => task.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
