//! Requests to places that a workflow names. The addresses connected to are checked, on each redirect again; a
//! redirect to another place takes no header and no body there; time and size are bounded, decompressed.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Client, Method, Response, StatusCode, Url,
    dns::Resolve,
    header::{self, HeaderMap, HeaderValue},
    redirect,
};

use super::{
    EgressError, chain,
    reach::{Denied, Inside, Reach},
    resolve::{Checked, System},
};

/// The longest URL that is followed, in bytes.
pub const URL_BYTES: usize = 8 * 1024;

/// One request.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Where to: http or https, without user name and password.
    pub url: Url,
    /// What is sent to this place and to no other.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Whether the operator named this place himself: then its addresses are his choice and not checked.
    pub chosen: bool,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For all of it: names, redirects, the whole answer.
    pub whole: Duration,
    /// Redirects that are followed.
    pub redirects: usize,
    /// Bytes of the body that are read, decompressed; what follows is left out.
    pub answer_bytes: usize,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Where it came from, after all redirects.
    pub url: Url,
    /// The body, decompressed, as far as it was read.
    pub body: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum GuardError {
    /// A URL that is never asked.
    Url(&'static str),
    /// The name, or the address, leads to where this agent does not go.
    Denied {
        /// The URL's host.
        host: String,
        /// The address and what it is.
        denied: Denied,
    },
    /// A redirect that is not followed.
    Redirect(String),
    /// The body is in an encoding that was not asked for.
    Encoding(String),
    /// No client.
    Client(EgressError),
    /// It was not done in time.
    TooSlow(Duration),
    /// No connection was made, so nothing was sent: it may pass.
    Unreachable(String),
    /// The connection broke behind the request: it may pass, and the request may have been carried out.
    Broken(String),
}

impl GuardError {
    /// Whether another try may have an answer.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::TooSlow(_) | Self::Unreachable(_) | Self::Broken(_))
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => f.write_str(why),
            Self::Denied { host, denied } => {
                let Denied { address, inside } = denied;
                write!(f, "{host} is not asked: ")?;
                if host.trim_matches(['[', ']']) != address.to_string() {
                    write!(f, "it leads to {address}, ")?;
                }
                write!(
                    f,
                    "a {} address, and this agent reaches public ones only",
                    inside.as_str()
                )?;
                // Whoever allows a metadata service hands out the machine's credentials: that is no hint to give.
                if *inside == Inside::Metadata {
                    return Ok(());
                }
                let bits = if address.is_ipv4() { 32 } else { 128 };
                write!(f, "; its operator can allow it: `--allow net:{address}/{bits}`")
            }
            Self::Redirect(why) => write!(f, "a redirect was not followed: {why}"),
            Self::Encoding(encoding) => {
                write!(f, "the answer is encoded as {encoding:?}, which nobody asked for")
            }
            Self::Client(error) => write!(f, "{error}"),
            Self::TooSlow(whole) => write!(f, "no whole answer within {} ms", whole.as_millis()),
            Self::Unreachable(why) | Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for GuardError {}

/// The guarded client. Its connections are made when they are first needed.
#[derive(Clone)]
pub struct Guarded(Arc<Inner>);

struct Inner {
    reach: Reach,
    names: Arc<dyn Resolve>,
    checked: OnceLock<Client>,
    chosen: OnceLock<Client>,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guarded").field(&self.0.reach).finish()
    }
}

impl Default for Guarded {
    fn default() -> Self {
        Self::new(Reach::default())
    }
}

impl Guarded {
    /// With the system's resolver.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self::with_names(reach, Arc::new(System))
    }

    /// With another resolver.
    #[must_use]
    pub fn with_names(reach: Reach, names: Arc<dyn Resolve>) -> Self {
        Self(Arc::new(Inner {
            reach,
            names,
            checked: OnceLock::new(),
            chosen: OnceLock::new(),
        }))
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// [`GuardError`]; an answer of any status is none.
    pub async fn send(&self, request: Outgoing, bounds: Bounds) -> Result<Answer, GuardError> {
        tokio::time::timeout(bounds.whole, self.follow(request, bounds))
            .await
            .unwrap_or(Err(GuardError::TooSlow(bounds.whole)))
    }

    async fn follow(&self, mut request: Outgoing, bounds: Bounds) -> Result<Answer, GuardError> {
        request.url.set_fragment(None);
        // Behind a redirect it was carried out: what then goes wrong must not look as if nothing had been sent.
        let writes = !request.method.is_safe();
        let mut seen = HashSet::new();
        for hop in 0.. {
            let response = self.once(&request).await.map_err(|error| match hop {
                0 => error,
                _ if writes => GuardError::Redirect(error.to_string()),
                _ => error,
            })?;
            if bounds.redirects == 0 || !leads_on(response.status()) {
                return read(response, request.url, bounds.answer_bytes).await;
            }
            let location = location(&response)?;
            seen.insert((request.method.clone(), request.url.clone()));
            let status = response.status();
            drop(response);
            if hop >= bounds.redirects {
                return Err(GuardError::Redirect(format!(
                    "{} were, and there are more",
                    bounds.redirects
                )));
            }
            request = redirected(request, status, &location)?;
            if seen.contains(&(request.method.clone(), request.url.clone())) {
                return Err(GuardError::Redirect("they go round in a circle".to_owned()));
            }
        }
        Err(GuardError::Redirect("there are too many".to_owned()))
    }

    async fn once(&self, request: &Outgoing) -> Result<Response, GuardError> {
        check(&request.url)?;
        if !request.chosen {
            self.literal(&request.url)?;
        }
        let mut builder = self
            .client(request.chosen)?
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        builder.send().await.map_err(|error| match denied(&error) {
            Some(denied) => GuardError::Denied {
                host: host(&request.url),
                denied,
            },
            None if error.is_connect() => GuardError::Unreachable(chain(&error)),
            None => GuardError::Broken(chain(&error)),
        })
    }

    /// An address in the URL itself is never resolved, thus checked here. The URL's parser has read every form that
    /// stands for one (decimal, octal, hexadecimal, short).
    fn literal(&self, url: &Url) -> Result<(), GuardError> {
        let text = host(url);
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let Ok(address) = bare.parse() else {
            return Ok(());
        };
        self.0.reach.check(address).map_err(|denied| GuardError::Denied {
            host: text.clone(),
            denied,
        })
    }

    fn client(&self, chosen: bool) -> Result<&Client, GuardError> {
        let cell = if chosen { &self.0.chosen } else { &self.0.checked };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let _already = rustls::crypto::ring::default_provider().install_default();
        let names: Arc<dyn Resolve> = if chosen {
            Arc::clone(&self.0.names)
        } else {
            Arc::new(Checked {
                names: Arc::clone(&self.0.names),
                reach: self.0.reach.clone(),
            })
        };
        let client = Client::builder()
            .user_agent(super::USER_AGENT)
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(names)
            .no_proxy()
            .build()
            .map_err(|error| GuardError::Client(EgressError::Client(error)))?;
        Ok(cell.get_or_init(|| client))
    }
}

/// What no request goes to, wherever it leads.
fn check(url: &Url) -> Result<(), GuardError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(GuardError::Url(
            "the URL is neither http nor https, and nothing else is asked",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(GuardError::Url(
            "the URL holds a user name or a password, which would be seen in the plan and in logs",
        ));
    }
    if url.as_str().len() > URL_BYTES {
        return Err(GuardError::Url("the URL is longer than 8 KiB"));
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(()),
        _ => Err(GuardError::Url("the URL names no host")),
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The refusal of a resolved address, deep in the client's error.
fn denied(error: &reqwest::Error) -> Option<Denied> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(denied) = error.downcast_ref::<Denied>() {
            return Some(*denied);
        }
        cause = error.source();
    }
    None
}

fn leads_on(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

fn location(response: &Response) -> Result<HeaderValue, GuardError> {
    response.headers().get(header::LOCATION).cloned().ok_or_else(|| {
        GuardError::Redirect(format!("HTTP {} without a location", response.status().as_u16()))
    })
}

/// The request that a redirect makes of this one; RFC 9110, 15.4.
fn redirected(
    mut request: Outgoing,
    status: StatusCode,
    location: &HeaderValue,
) -> Result<Outgoing, GuardError> {
    let refused = |why: String| Err(GuardError::Redirect(why));
    let Some(mut url) = location
        .to_str()
        .ok()
        .and_then(|text| request.url.join(text).ok())
    else {
        return refused("its location is no URL".to_owned());
    };
    url.set_fragment(None);
    if let Err(error) = check(&url) {
        return refused(error.to_string());
    }
    if request.url.scheme() == "https" && url.scheme() == "http" {
        return refused(format!("it leads from https to http, at {}", host(&url)));
    }
    let turns = match status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if turns {
        request.method = Method::GET;
        request.body = None;
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            request.headers.remove(name);
        }
    }
    if url.origin() != request.url.origin() {
        if !request.method.is_safe() {
            return refused(format!(
                "it would take a {} to another place, {}: name that one in the step",
                request.method,
                host(&url)
            ));
        }
        let accept = request.headers.get(header::ACCEPT).cloned();
        request.headers.clear();
        request
            .headers
            .extend(accept.map(|accept| (header::ACCEPT, accept)));
        request.body = None;
        request.chosen = false;
    }
    request.url = url;
    Ok(request)
}

async fn read(mut response: Response, url: Url, limit: usize) -> Result<Answer, GuardError> {
    let mut body = Vec::new();
    let mut truncated = false;
    // The client takes its own encoding's header away when it decodes.
    let encoding = response.headers().get(header::CONTENT_ENCODING).cloned();
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|error| GuardError::Broken(chain(&error)))? else {
            break;
        };
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    if let Some(encoding) = encoding.filter(|encoding| encoding != "identity" && !body.is_empty()) {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        return Err(GuardError::Encoding(encoding.chars().take(40).collect()));
    }
    Ok(Answer {
        status: response.status(),
        headers: response.headers().clone(),
        url,
        body,
        truncated,
    })
}
