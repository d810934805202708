//! HashiCorp Vault's HTTP API, as far as a reader of secrets meets it: AppRole, its token's life, key-value version 2,
//! health (<https://developer.hashicorp.com/vault/api-docs>).
//!
//! Tokens end when their time is over, cannot be renewed past their longest life, and are gone when they are revoked;
//! secrets have versions, and a deleted one answers 404 with its metadata, as Vault does.

mod api;
mod state;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing};
use serde_json::{Map, Value};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use state::Call;
use state::State;

/// What the emulator begins with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The role that may log in.
    pub role_id: String,
    /// Its secret id.
    pub secret_id: String,
    /// How long a token lives without being renewed.
    pub token_ttl: Duration,
    /// How long it lives at most.
    pub token_max_ttl: Duration,
    /// The namespace that requests must name; none for Vault without namespaces.
    pub namespace: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role_id: "role-for-tests".to_owned(),
            secret_id: "secret-id-for-tests".to_owned(),
            token_ttl: Duration::from_secs(3_600),
            token_max_ttl: Duration::from_secs(14_400),
            namespace: None,
        }
    }
}

/// A running emulator; gone when it is dropped.
pub struct Emulator {
    address: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
    _serving: JoinHandle<io::Result<()>>,
}

/// Starts one on a port of the kernel's choice.
///
/// # Errors
/// There is no port.
pub async fn spawn(config: Config) -> io::Result<Emulator> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let state = Arc::new(State::new(config));
    let stop = CancellationToken::new();
    let router = Router::new()
        .route("/v1/auth/approle/login", routing::any(api::login))
        .route("/v1/auth/token/renew-self", routing::any(api::renew))
        .route("/v1/secret/data/{*path}", routing::any(api::read))
        .route("/v1/sys/health", routing::any(api::health))
        .fallback(api::no_handler)
        .with_state(Arc::clone(&state));
    let until = stop.clone();
    let serving = tokio::spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(until.cancelled_owned())
            .await
    });
    Ok(Emulator {
        address,
        state,
        stop,
        _serving: serving,
    })
}

impl Emulator {
    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes a new version of a secret.
    pub fn put(&self, path: &str, data: Map<String, Value>) {
        self.state.put(path, Some(data));
    }

    /// Deletes the latest version of a secret.
    pub fn delete(&self, path: &str) {
        self.state.put(path, None);
    }

    /// Seals it or unseals it.
    pub fn seal(&self, sealed: bool) {
        self.state.live().sealed = sealed;
    }

    /// Ends every token.
    pub fn revoke(&self) {
        self.state.live().tokens.clear();
    }

    /// The role's policy does not let it read this path.
    pub fn deny(&self, path: &str) {
        self.state.live().denied.insert(path.to_owned());
    }

    /// From now on this is the role's secret id.
    pub fn rotate_secret_id(&self, secret_id: &str) {
        self.state.live().secret_id = secret_id.to_owned();
    }

    /// Answers the next requests, whatever they are, with a status: 429, 500, 503.
    pub fn fail(&self, status: u16, times: u32) {
        self.state.live().faults = Some((status, times));
    }

    /// What was asked so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.live().calls.clone()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
