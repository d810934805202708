//! How the server is reached.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use node::backoff::{self, Backoff};
use proto::v1::agent_service_client::AgentServiceClient;
use runtime::kit::with_causes;
use tonic::transport::{Channel, Endpoint, Error};
use types::{limits, text::mask_userinfo};

use crate::error::AgentError;

/// To open a connection, and for an answer to a call.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// A session that lived this long resets the backoff.
const STABLE: Duration = Duration::from_secs(10);

/// How a connection is opened: by the kernel's TCP, or by a simulation of it.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Opens one, with the limits that the endpoint says.
    ///
    /// # Errors
    /// Nobody answers there.
    async fn dial(&self, endpoint: &Endpoint) -> Result<Channel, Error>;
}

/// The kernel's TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

#[async_trait]
impl Dial for Tcp {
    async fn dial(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        endpoint.connect().await
    }
}

/// The server, as this agent reaches it.
#[derive(Clone)]
pub(crate) struct Server {
    endpoint: Endpoint,
    dial: Arc<dyn Dial>,
}

impl Server {
    /// # Errors
    /// The URL is none of a server.
    pub(crate) fn new(url: &str, dial: Arc<dyn Dial>) -> Result<Self, AgentError> {
        let endpoint = endpoint(url)?;
        Ok(Self { endpoint, dial })
    }

    /// A connection; why there is none, in one line.
    pub(crate) async fn connect(&self) -> Result<Channel, String> {
        self.dial
            .dial(&self.endpoint)
            .await
            .map_err(|error| with_causes(&error))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint.uri())
    }
}

/// Checks the server's URL and sets every limit of a connection.
fn endpoint(server: &str) -> Result<Endpoint, AgentError> {
    let wrong = |why: String| AgentError::Config(format!("server {:?}: {why}", mask_userinfo(server)));
    if mask_userinfo(server) != server {
        return Err(wrong("no server asks for a user name or a password".to_owned()));
    }
    if !server.starts_with("http://") {
        return Err(wrong(
            "expected http://HOST:PORT (TLS is not part of this version)".to_owned(),
        ));
    }
    let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|error| wrong(error.to_string()))?;
    Ok(endpoint
        .user_agent(concat!("firehall-agent/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| wrong(error.to_string()))?
        .connect_timeout(PATIENCE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true))
}

/// The service on a connection, with the limits of messages both ways.
pub(crate) fn client(channel: Channel) -> AgentServiceClient<Channel> {
    AgentServiceClient::new(channel)
        .max_decoding_message_size(limits::MESSAGE_BYTES)
        .max_encoding_message_size(limits::MESSAGE_BYTES)
}

/// The waits between tries: quick at first, with full jitter, from 50 ms to 5 s. A server that is there and does not
/// answer in time has too many at its door, and each that comes again takes of the time of those that wait: from 1 s to
/// 30 s.
#[derive(Debug)]
pub(crate) struct Tries {
    backoff: Backoff,
    crowded: Backoff,
    failed: u32,
    unanswered: u32,
}

impl Tries {
    pub(crate) fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5))
            .expect("the bounds are constants in order");
        let crowded = Backoff::new(Duration::from_secs(1), Duration::from_secs(30))
            .expect("the bounds are constants in order");
        Self {
            backoff,
            crowded,
            failed: 0,
            unanswered: 0,
        }
    }

    /// The wait after a try that was not answered in time.
    pub(crate) fn unanswered(&mut self) -> Duration {
        let wait = self.crowded.wait(self.unanswered, backoff::entropy());
        self.unanswered = self.unanswered.saturating_add(1);
        wait
    }

    /// The wait after a try that lived that long.
    pub(crate) fn next(&mut self, lived: Duration) -> Duration {
        if lived >= STABLE {
            (self.failed, self.unanswered) = (0, 0);
        }
        let wait = self.backoff.wait(self.failed, backoff::entropy());
        self.failed = self.failed.saturating_add(1);
        wait
    }
}
