//! One port for gRPC and HTTP, with every limit set, and its end in phases: streams, then calls, then runs, then store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};
use tower::util::MapRequestLayer;

use crate::{
    Config, Core,
    agents::{Agents, Facts},
    api, artifacts,
    clock::Clock,
    connections::{Listener, incoming},
    guard, http, leases,
    meter::Meter,
    runs::{BlackBox, Runs},
    store::{SharedStore, StoreError},
    workflows,
};

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It would be reachable by others without TLS.
    #[error(
        "refusing to listen on {0}: it is not a loopback address and there is no TLS yet; \
         listen on 127.0.0.1, or give --insecure if the network itself is trusted"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A definition to start with does not compile.
    #[error("the workflow {file} does not compile:\n{diagnostics}")]
    Seed {
        /// The file.
        file: String,
        /// In full.
        diagnostics: String,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store broke while it was used.
    #[error("the store cannot be used any more: {0}")]
    Broken(String),
    /// The transport failed.
    #[error("the server's transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Streams at once on one connection (tonic's default is none at all).
const STREAMS: u32 = 512;
/// Calls get this long to end after the streams were closed.
const DRAIN: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection's age, after which it takes no new calls (GOAWAY) and ends with those that it has; sessions end before.
/// No grace is set: with one, tonic sends no GOAWAY but cuts the connection (tonic 0.14 `connection_timeout_future`).
const AGE: Duration = Duration::from_secs(2 * 3_600);
/// What is under way in runs and in the store gets this long each to be put away.
const PUT_AWAY: Duration = Duration::from_secs(10);
/// All headers of a request.
const HEADER_BYTES: u32 = 16 * 1024;

/// Runs a server until `shutdown`; `ready` is told the address once it answers.
///
/// # Errors
/// See [`ServerError`].
pub async fn run(
    config: Config,
    store: SharedStore,
    shutdown: CancellationToken,
    ready: impl FnOnce(SocketAddr) + Send,
) -> Result<(), ServerError> {
    if !config.listen.ip().is_loopback() && !config.insecure {
        return Err(ServerError::NotLoopback(config.listen));
    }
    let address = config.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServerError::Listen { address, source })?;
    let address = listener
        .local_addr()
        .map_err(|source| ServerError::Listen { address, source })?;
    run_on(listener, config, store, shutdown, || {
        ready(address);
        tracing::info!(%address, "listening");
    })
    .await
}

/// Runs a server on connections from anywhere: `config.listen` is not looked at.
///
/// # Errors
/// See [`ServerError`].
pub async fn run_on(
    listener: impl Listener,
    config: Config,
    store: SharedStore,
    shutdown: CancellationToken,
    ready: impl FnOnce() + Send,
) -> Result<(), ServerError> {
    let core = core(config, store, shutdown.clone());
    prepare(&core).await?;
    let judge = tokio::spawn(again(core.clone(), "leases", leases::watch));
    let sweep = tokio::spawn(again(core.clone(), "artifacts", artifacts::watch));
    ready();
    let served = tokio::select! {
        served = serve(&core, listener) => served,
        why = core.store.broken() => {
            // Nothing is put away: that would flush.
            shutdown.cancel();
            return Err(ServerError::Broken(why));
        }
    };
    shutdown.cancel();
    if !core.runs.stopped(PUT_AWAY).await {
        tracing::error!(
            "runs were still busy with the store and are left: their histories hold what was stored"
        );
    }
    for (task, what) in [(judge, "leases"), (sweep, "artifacts")] {
        match tokio::time::timeout(PUT_AWAY, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, what, "a task ended badly"),
            Err(_) => tracing::error!(what, "a task did not end in time and is left"),
        }
    }
    if tokio::time::timeout(PUT_AWAY, core.store.close()).await.is_err() {
        tracing::error!("the store did not close in time");
    }
    served
}

/// Does its work as long as the server runs, whatever happens to the task.
async fn again<F: Future<Output = ()> + Send + 'static>(core: Core, what: &'static str, work: fn(Core) -> F) {
    while let Err(error) = tokio::spawn(work(core.clone())).await {
        tracing::error!(%error, what, "a task ended by a defect and begins again");
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

fn core(config: Config, store: SharedStore, shutdown: CancellationToken) -> Core {
    let clock = Clock::start();
    let agents = Arc::new(Agents::new(clock));
    let meter = Arc::new(Meter::new());
    let black_box = match &config.black_box {
        Some(dir) => BlackBox::open(dir),
        None => BlackBox::default(),
    };
    let runs = Runs::new(
        Arc::clone(&store),
        Arc::clone(&agents),
        Arc::clone(&meter),
        clock,
        black_box,
        shutdown.clone(),
    );
    Core {
        store,
        agents,
        runs,
        intake: crate::intake::Intake::new(),
        meter,
        clock,
        config: Arc::new(config),
        shutdown,
    }
}

async fn prepare(core: &Core) -> Result<(), ServerError> {
    for row in core.store.agents().await? {
        let facts: Facts = serde_json::from_str(&row.facts).unwrap_or_else(|error| {
            tracing::warn!(agent = %row.id, %error, "what this agent said of itself cannot be read; it will say it again");
            Facts::default()
        });
        core.agents
            .remember(row.id, row.name, row.labels, facts, row.seen_at);
    }
    for drained in core.store.drained().await? {
        core.agents.drain(&drained.agent, true);
    }
    if core.store.workflows().await?.is_empty() {
        for (file, source) in &core.config.seed {
            match workflows::put(core, file, source).await? {
                workflows::Put::Kept { name, .. } => tracing::info!(workflow = name, "kept a definition"),
                workflows::Put::TooLarge(bytes) => {
                    return Err(ServerError::Seed {
                        file: file.clone(),
                        diagnostics: format!("its plan has {bytes} bytes, at most {}", workflows::PLAN_BYTES),
                    });
                }
                workflows::Put::Wrong(source, compiled) => {
                    let diagnostics = workflow::render_text(&compiled.diagnostics, &source, false);
                    return Err(ServerError::Seed {
                        file: file.clone(),
                        diagnostics,
                    });
                }
            }
        }
    }
    let runs = core.runs.resume().await?;
    if runs > 0 {
        tracing::info!(runs, "took up live runs");
    }
    Ok(())
}

async fn serve(core: &Core, listener: impl Listener) -> Result<(), ServerError> {
    let router = api::router(core)
        .merge(http::router(core.clone()))
        .fallback({
            let core = core.clone();
            move |request| http::unknown(core, request)
        })
        .method_not_allowed_fallback({
            let core = core.clone();
            move |request| http::not_allowed(core, request)
        })
        .layer(axum::middleware::from_fn_with_state(
            core.clone(),
            guard::browsers,
        ));
    let shutdown = core.shutdown.clone();
    // Whatever is still open when this function returns is cut.
    let cut = CancellationToken::new();
    let _cut = cut.clone().drop_guard();
    let served = Server::builder()
        // Outside of all others: deadlines count from here.
        .layer(MapRequestLayer::new(
            |mut request: axum::extract::Request<tonic::body::Body>| {
                let now = tokio::time::Instant::now();
                request.extensions_mut().insert(api::call::Arrived(now));
                request
            },
        ))
        .accept_http1(true)
        .max_concurrent_streams(Some(STREAMS))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(Some(HEADER_BYTES))
        .max_connection_age(AGE)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(incoming(listener, cut), shutdown.clone().cancelled_owned());
    tokio::pin!(served);
    tokio::select! {
        done = &mut served => return Ok(done?),
        () = shutdown.cancelled() => {}
    }
    // Every stream of ours ends by the token; what a peer still holds open is dropped after the drain.
    match tokio::time::timeout(DRAIN, served).await {
        Ok(done) => Ok(done?),
        Err(_) => {
            tracing::warn!("connections were still open after the drain and are cut");
            Ok(())
        }
    }
}
