//! What emulators of JSON APIs share: a port, the calls so far, faults, and one pure function from a request and the
//! state to an answer.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Response, StatusCode, Uri, header},
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::slack::wire::{Switch, Wires};

/// The largest request, in bytes.
const BODY: usize = 1024 * 1024;
/// Calls that are kept.
const KEPT: usize = 10_000;

/// A request as a vendor's rules see it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`.
    pub method: String,
    /// The path, as it was sent: still encoded.
    pub path: String,
    /// The query, or the form in the body, decoded, in order.
    pub pairs: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The first value of a name in query or form.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header's value; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    /// Plain text.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    /// Any bytes, of any type.
    #[must_use]
    pub fn bytes(status: u16, kind: &str, body: &[u8]) -> Self {
        Self {
            status,
            headers: vec![("content-type", kind.to_owned())],
            body: body.to_vec(),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let made = response.body(Body::from(self.body));
        made.unwrap_or_else(|error| {
            let mut failed = Response::new(Body::from(error.to_string()));
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            failed
        })
    }
}

/// What goes wrong with one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This answer in place of the vendor's.
    Instead(Reply),
    /// The connection closes without an answer.
    Drop,
    /// The answer comes later.
    Slow(Duration),
}

/// A vendor's rules: from the state and a request to an answer.
pub trait Rules: Send + 'static {
    /// Answers one call.
    fn answer(&mut self, asked: &Asked) -> Reply;
}

struct Shared<R> {
    rules: Mutex<R>,
    faults: Mutex<VecDeque<Fault>>,
    calls: Mutex<VecDeque<Asked>>,
}

/// A running emulator; dropping it stops it.
pub struct Stage<R> {
    address: SocketAddr,
    shared: Arc<Shared<R>>,
    task: JoinHandle<io::Result<()>>,
}

impl<R: Rules> Stage<R> {
    /// Starts it on a port of loopback that the kernel chooses.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn spawn(rules: R) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            rules: Mutex::new(rules),
            faults: Mutex::default(),
            calls: Mutex::default(),
        });
        let router = Router::new().fallback(call::<R>).with_state(Arc::clone(&shared));
        let service = router.into_make_service_with_connect_info::<Switch>();
        let task = tokio::spawn(async move { axum::serve(Wires(listener), service).await });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Its base, without a final slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One more fault: each hits one call, in order.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push_back(fault);
    }

    /// The calls so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Asked> {
        lock(&self.shared.calls).iter().cloned().collect()
    }

    /// Looks at the state, or changes it.
    pub fn state<T>(&self, with: impl FnOnce(&mut R) -> T) -> T {
        with(&mut lock(&self.shared.rules))
    }
}

impl<R> Drop for Stage<R> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names and values, decoded.
fn pairs(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Vec<(String, String)> {
    let form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let text = if form {
        String::from_utf8_lossy(body).into_owned()
    } else {
        uri.query().unwrap_or_default().to_owned()
    };
    let split = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(split)
        .collect()
}

/// Of a form: `+` is a space, `%41` is a byte.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|two| std::str::from_utf8(two).ok());
        match (bytes[at], hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

async fn call<R: Rules>(
    State(shared): State<Arc<Shared<R>>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY).await else {
        return Reply::text(413, "too large").into_response();
    };
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        pairs: pairs(&head.uri, &head.headers, &body),
        headers: head.headers,
        body: body.to_vec(),
    };
    {
        let mut calls = lock(&shared.calls);
        if calls.len() == KEPT {
            calls.pop_front();
        }
        calls.push_back(asked.clone());
    }
    let fault = lock(&shared.faults).pop_front();
    match fault {
        Some(Fault::Instead(reply)) => return reply.into_response(),
        Some(Fault::Drop) => switch.cut(),
        Some(Fault::Slow(wait)) => tokio::time::sleep(wait).await,
        None => {}
    }
    let reply = lock(&shared.rules).answer(&asked);
    reply.into_response()
}
