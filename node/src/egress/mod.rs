//! The one way out by HTTP: a client with time limits, no redirect to another place, no proxy that was not
//! asked for, and answers of bounded size.

pub mod guarded;
pub mod reach;
mod resolve;

use std::{fmt, time::Duration};

use reqwest::{Certificate, Client, Proxy, Response, redirect};

/// How to go out.
#[derive(Debug, Clone)]
pub struct Egress {
    /// To open a connection.
    pub connect: Duration,
    /// For one request and its answer.
    pub whole: Duration,
    /// A proxy for every request; none by default, whatever the environment says.
    pub proxy: Option<String>,
    /// Authorities that the place's certificate may come from, as PEM, in place of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Whether the place is reached by https. Where it is not, the system's certificates are not read, and https
    /// fails for want of a root.
    pub https: bool,
    /// The only certificates that are trusted, instead of the system's.
    pub roots: Option<Vec<Certificate>>,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            whole: Duration::from_secs(10),
            proxy: None,
            authorities: None,
            https: true,
            roots: None,
        }
    }
}

/// Why an answer or a client was not to be had.
#[derive(Debug)]
pub enum EgressError {
    /// The client cannot be made.
    Client(reqwest::Error),
    /// The authorities to trust are none.
    NoAuthority,
    /// The answer is larger than the limit, in bytes.
    TooLarge(usize),
    /// The connection failed while the answer was read.
    Read(reqwest::Error),
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthority => f.write_str("no certificate is in the PEM text of authorities"),
            Self::Client(error) => write!(f, "no HTTP client: {}", chain(error)),
            Self::TooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            Self::Read(error) => write!(f, "the answer broke off: {}", chain(error)),
        }
    }
}

impl std::error::Error for EgressError {}

/// What every request says of its sender.
const USER_AGENT: &str = concat!("firehall/", env!("CARGO_PKG_VERSION"));

/// The most hops of a redirect within one place.
const REDIRECTS: usize = 3;

impl Egress {
    /// For a place given by its URL, with the usual limits.
    #[must_use]
    pub fn to(url: &str) -> Self {
        Self {
            https: !url.starts_with("http://"),
            ..Self::default()
        }
    }

    /// Makes the client: TLS by rustls with ring, user agent `firehall/VERSION`.
    ///
    /// # Errors
    /// When the system has no certificates, the given authorities are none, or the proxy's URL is none.
    pub fn client(&self) -> Result<Client, EgressError> {
        // The first one to come installs the provider; the others find it there.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.connect)
            .timeout(self.whole)
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
            .redirect(redirect::Policy::custom(same_place))
            .no_proxy();
        if let Some(pem) = &self.authorities {
            let authorities = Certificate::from_pem_bundle(pem).map_err(EgressError::Client)?;
            if authorities.is_empty() {
                return Err(EgressError::NoAuthority);
            }
            builder = builder.tls_certs_only(authorities);
        } else if !self.https {
            builder = builder.tls_certs_only(Vec::<Certificate>::new());
        } else if let Some(roots) = &self.roots {
            builder = builder.tls_certs_only(roots.clone());
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(Proxy::all(proxy).map_err(EgressError::Client)?);
        }
        builder.build().map_err(EgressError::Client)
    }
}

fn same_place(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let to = attempt.url();
    let same = attempt.previous().last().is_some_and(|from| {
        from.scheme() == to.scheme()
            && from.host_str() == to.host_str()
            && from.port_or_known_default() == to.port_or_known_default()
    });
    if same && attempt.previous().len() <= REDIRECTS {
        attempt.follow()
    } else {
        attempt.error("a redirect to another place was refused")
    }
}

/// Reads an answer up to a limit.
///
/// # Errors
/// When it is larger, or breaks off.
pub async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, EgressError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(EgressError::Read)? {
        if body.len() + chunk.len() > limit {
            return Err(EgressError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A reqwest error with its causes but without its URL, which may carry a secret.
#[must_use]
pub fn chain(error: &reqwest::Error) -> String {
    let mut text = match () {
        () if error.is_timeout() => "it took too long".to_owned(),
        () if error.is_connect() => "no connection".to_owned(),
        () if error.is_redirect() => "redirected".to_owned(),
        () if error.is_builder() => "the request cannot be made".to_owned(),
        () => "the connection failed".to_owned(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) && !cause_text.contains("://") {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::{Duration, Instant};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Answers one connection with fixed bytes and gives its URL.
    async fn answers(reply: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await.unwrap();
            stream.write_all(reply.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn a_redirect_elsewhere_is_refused() {
        let elsewhere = answers("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret".to_owned()).await;
        let url = answers(format!(
            "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let error = Egress::to(&url)
            .client()
            .unwrap()
            .get(&url)
            .send()
            .await
            .unwrap_err();
        assert!(error.is_redirect(), "{error:?}");
        assert!(!chain(&error).contains("127.0.0.1"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn an_answer_is_bounded() {
        let body = "x".repeat(2_000);
        let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let client = Egress::to("http://").client().unwrap();
        let url = answers(reply.clone()).await;
        assert!(matches!(
            read(client.get(&url).send().await.unwrap(), 1_999).await,
            Err(EgressError::TooLarge(1_999))
        ));
        let url = answers(reply).await;
        assert_eq!(
            read(client.get(&url).send().await.unwrap(), 2_000)
                .await
                .unwrap()
                .len(),
            2_000
        );
    }

    #[tokio::test]
    async fn silence_ends_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let egress = Egress {
            whole: Duration::from_millis(200),
            ..Egress::to(&url)
        };
        let begun = Instant::now();
        let error = egress.client().unwrap().get(&url).send().await.unwrap_err();
        assert!(
            error.is_timeout() && begun.elapsed() < Duration::from_secs(5),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn without_https_no_certificate_is_trusted() {
        let client = Egress {
            https: false,
            ..Egress::default()
        }
        .client()
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { listener.accept().await });
        assert!(client.get(url).send().await.is_err());
    }
}
