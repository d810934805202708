//! Calls as bytes: any headers, any frames, and the whole answer.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::stack::{Stack, soon};

/// HTTP/2 without gRPC's own ideas: tonic's client would time by itself.
pub(crate) type Wire = SendRequest<Full<Bytes>>;

pub(crate) async fn wire(stack: &Stack) -> Wire {
    let stream = tokio::net::TcpStream::connect(stack.address).await.unwrap();
    let (wire, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    wire
}

/// How long a stream is read.
pub(crate) const A_WHILE: &str = "150m";

/// The deadline of a call that ends by itself: the time that a loaded machine needs.
pub(crate) const LONG: &str = "20S";

/// The deadline of a call that is good: a stream without an end is read for a while.
pub(crate) fn patience(path: &str) -> &'static str {
    const ENDLESS: [&str; 5] = [
        "EventService/Subscribe",
        "Health/Watch",
        "IncidentService/Watch",
        "AgentService/Logs",
        "AgentService/Session",
    ];
    let endless = ENDLESS.iter().any(|end| path.ends_with(end));
    if endless { A_WHILE } else { LONG }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: u16,
    /// Where the answer was gRPC.
    pub(crate) status: Option<Status>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn code(&self) -> Code {
        self.status.as_ref().map_or(Code::Unknown, Status::code)
    }

    /// The field paths of its `google.rpc.BadRequest`.
    pub(crate) fn fields(&self) -> Vec<String> {
        let details = self.status.as_ref().and_then(StatusExt::get_details_bad_request);
        let violations = details.map(|bad| bad.field_violations).unwrap_or_default();
        violations.into_iter().map(|one| one.field).collect()
    }

    /// What no answer may be or say, whatever was asked.
    pub(crate) fn assert_decent(&self, what: &str) {
        assert!(self.http < 500, "{what}: {self:?}");
        let Some(status) = &self.status else { return };
        let never = [Code::Internal, Code::Unknown, Code::DataLoss, Code::Unavailable];
        assert!(!never.contains(&status.code()), "{what}: {status:?}");
        let inside = [
            "SELECT ",
            "INSERT ",
            "sqlite",
            "SQLITE",
            ".rs:",
            "panicked",
            "/tmp/",
            "/root",
            "/home",
            "RUST_BACKTRACE",
            "called `",
            "127.0.0.1",
        ];
        let told = status.message();
        assert!(!inside.iter().any(|word| told.contains(word)), "{what}: {told}");
        // Health and reflection are the library's own.
        if status.code() == Code::InvalidArgument && !what.contains("/grpc.") {
            assert!(!self.fields().is_empty(), "{what}: no BadRequest in {status:?}");
        }
    }
}

/// A message in its frame.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// A call as a gRPC client makes it; a stream without an end is ended by its deadline.
pub(crate) async fn call(wire: &Wire, path: &str, body: Vec<u8>) -> Answer {
    call_within(wire, path, body, patience(path)).await
}

/// The same with a deadline.
pub(crate) async fn call_within(wire: &Wire, path: &str, body: Vec<u8>, timeout: &'static str) -> Answer {
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", timeout),
    ];
    send(wire, path, &headers, body).await
}

pub(crate) async fn send(wire: &Wire, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = http::Request::post(format!("http://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = soon("an answer", wire.clone().send_request(request)).await;
    let (head, mut body) = response
        .unwrap_or_else(|error| panic!("{path} {headers:?}: {error:?}"))
        .into_parts();
    let mut answer = Answer {
        http: head.status.as_u16(),
        status: Status::from_header_map(&head.headers),
        body: Vec::new(),
    };
    while let Some(frame) = soon("a frame", body.frame()).await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => panic!("{path} {headers:?}: the answer broke off: {error:?}"),
        };
        match frame.into_data() {
            Ok(data) => answer.body.extend_from_slice(&data),
            Err(frame) => answer.status = frame.trailers_ref().and_then(Status::from_header_map),
        }
    }
    answer
}

/// Errors that the server's log would hold, and panics, in this process.
pub(crate) static ERRORS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static PANICS: AtomicU32 = AtomicU32::new(0);

/// Listens to the log of the servers in this process.
pub(crate) fn listen() {
    tracing::subscriber::set_global_default(Log).unwrap();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(info);
    }));
}

/// Nothing went wrong inside.
pub(crate) fn assert_quiet(what: &str) {
    let errors = ERRORS.lock().unwrap();
    assert!(errors.is_empty(), "{what}: the server's log has {errors:?}");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{what}: a panic");
}

struct Log;

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = event.metadata().target().to_owned();
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                text.push_str(&format!(" {}={value:?}", field.name()));
            },
        );
        ERRORS.lock().unwrap().push(text);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// A moment for what goes on behind an answer.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}
