//! One port for gRPC and HTTP, with every limit set, and its end in phases: streams, then calls, then runs, then store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};

use crate::{
    Config, Core,
    agents::{Agents, Facts},
    api,
    clock::Clock,
    http, leases,
    runs::Runs,
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
    /// The transport failed.
    #[error("the server's transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Connections at once; beyond them new ones wait in the kernel's queue.
const CONNECTIONS: usize = 8_192;
/// Streams at once on one connection (tonic's default is none at all).
const STREAMS: u32 = 512;
/// Calls get this long to end after the streams were closed.
const DRAIN: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection's age, after which it is asked to go and come again.
const AGE: Duration = Duration::from_secs(2 * 3_600);
const AGE_GRACE: Duration = Duration::from_secs(60);
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
    let core = core(config, store, shutdown.clone());
    prepare(&core).await?;
    let address = listener
        .local_addr()
        .map_err(|source| ServerError::Listen { address, source })?;
    let watcher = tokio::spawn(leases::watch(core.clone()));
    ready(address);
    tracing::info!(%address, "listening");
    let served = serve(&core, listener).await;
    shutdown.cancel();
    core.runs.stopped().await;
    if let Err(error) = watcher.await {
        tracing::error!(%error, "the leases' task ended badly");
    }
    core.store.close().await;
    served
}

fn core(config: Config, store: SharedStore, shutdown: CancellationToken) -> Core {
    let clock = Clock::start();
    let agents = Arc::new(Agents::new(clock));
    let runs = Runs::new(Arc::clone(&store), Arc::clone(&agents), clock, shutdown.clone());
    Core {
        store,
        agents,
        runs,
        clock,
        config: Arc::new(config),
        shutdown,
    }
}

async fn prepare(core: &Core) -> Result<(), ServerError> {
    for row in core.store.agents().await? {
        let facts: Facts = serde_json::from_str(&row.facts).unwrap_or_default();
        core.agents
            .remember(row.id, row.name, row.labels, facts, row.seen_at);
    }
    if core.store.workflows().await?.is_empty() {
        for (file, source) in &core.config.seed {
            match workflows::put(core, file, source).await? {
                workflows::Put::Kept { name, .. } => tracing::info!(workflow = name, "kept a definition"),
                workflows::Put::Wrong(compiled) => {
                    let source = workflow::SourceFile {
                        name: file.clone(),
                        text: source.clone(),
                    };
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

async fn serve(core: &Core, listener: TcpListener) -> Result<(), ServerError> {
    let router = api::routes(core)
        .into_axum_router()
        .merge(http::router(core.clone()));
    let shutdown = core.shutdown.clone();
    let served = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(Some(STREAMS))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(Some(HEADER_BYTES))
        .max_connection_age(AGE)
        .max_connection_age_grace(AGE_GRACE)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(incoming(listener), shutdown.clone().cancelled_owned());
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

/// Accepted connections, at most `CONNECTIONS` at once, without Nagle's delay.
fn incoming(
    listener: TcpListener,
) -> impl futures::Stream<Item = Result<connection::Counted, std::io::Error>> {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    futures::stream::unfold((listener, permits), |(listener, permits)| async move {
        let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
        let accepted = listener.accept().await;
        let item = accepted.and_then(|(stream, _)| {
            stream.set_nodelay(true)?;
            Ok(connection::Counted::new(stream, permit))
        });
        if let Err(error) = &item {
            // Out of descriptors, say: the next try must not spin.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some((item, (listener, permits)))
    })
    .boxed()
}

mod connection {
    //! A connection that gives its place back when it ends.

    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::{
        io::{AsyncRead, AsyncWrite, ReadBuf},
        net::TcpStream,
        sync::OwnedSemaphorePermit,
    };
    use tonic::transport::server::{Connected, TcpConnectInfo};

    pub(super) struct Counted {
        stream: TcpStream,
        _place: OwnedSemaphorePermit,
    }

    impl Counted {
        pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
            Self {
                stream,
                _place: place,
            }
        }
    }

    impl Connected for Counted {
        type ConnectInfo = TcpConnectInfo;
        fn connect_info(&self) -> TcpConnectInfo {
            self.stream.connect_info()
        }
    }

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counted {
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
}
