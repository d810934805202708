//! The control plane: accepts connections and calls nobody. One port for gRPC and HTTP.

mod access;
mod agents;
mod api;
mod artifacts;
mod clock;
mod connections;
mod guard;
mod http;
mod intake;
mod leases;
mod meter;
mod restore;
mod runs;
mod serve;
pub mod store;
mod workflows;

use std::net::SocketAddr;

use types::{Catalogue, Secret};

pub use artifacts::{Artifacts, ArtifactsError, Credentials, Keep, Place};
pub use connections::Listener;
pub use restore::{Restored, restore};
pub use serve::{ServerError, run, run_on};

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens. Beyond loopback only with `insecure`, until TLS and identities are there.
    pub listen: SocketAddr,
    /// Allows listening beyond loopback without TLS.
    pub insecure: bool,
    /// The bearer secret that webhooks must carry, when set.
    pub webhook_secret: Option<Secret>,
    /// The signatures of the actions that definitions may use.
    pub catalogue: Catalogue,
    /// Definitions to keep when the store holds none: file name and source.
    pub seed: Vec<(String, String)>,
    /// `GET /healthz` answers 503 until this many agents are connected.
    pub healthy_with_agents: usize,
    /// Where artifacts are kept; none: they are refused.
    pub artifacts: Option<Artifacts>,
    /// A directory of this server's own, in which it notes what it is at: its next start knows over what it died. None:
    /// nothing is noted.
    pub black_box: Option<std::path::PathBuf>,
    /// Names besides `localhost` under which a reverse proxy passes requests on; without a port.
    pub public_hosts: Vec<String>,
}

/// What everything in the server shares.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) store: store::SharedStore,
    pub(crate) agents: std::sync::Arc<agents::Agents>,
    pub(crate) runs: runs::Runs,
    pub(crate) intake: intake::Intake,
    pub(crate) meter: std::sync::Arc<meter::Meter>,
    pub(crate) clock: clock::Clock,
    pub(crate) config: std::sync::Arc<Config>,
    pub(crate) shutdown: tokio_util::sync::CancellationToken,
}
