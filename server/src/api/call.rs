//! What holds for every call, whichever it is: its deadline, how many there may be at once, and a precise status where the
//! transport's own would be vague. Inside of gRPC-Web, so that browsers get the same.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use futures::FutureExt;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tonic::Status;

use super::{
    ending::{self, Ending},
    errors, unreadable,
};

/// A unary call without a deadline of its client's.
const UNARY: Duration = Duration::from_secs(60);
/// The layer's deadline lies so much before the client's: tonic's own timer would answer CANCELLED (tonic 0.14
/// `grpc_timeout.rs`, `Status::try_from_error`).
const EARLIER: Duration = Duration::from_millis(1);
/// Open streaming calls of a server. Agents are not counted: who calls much must not keep them out.
const STREAMS: usize = 4_096;
/// Unary calls at once.
const CALLS: usize = 1_024;
/// How long to wait when there are too many.
const AGAIN: Duration = Duration::from_secs(1);

/// When a request arrived, before anything else looked at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived(pub(crate) Instant);

/// What all calls of a server share.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    /// `/package.Service/Method` of those that answer with a stream.
    streaming: Arc<BTreeSet<String>>,
    streams: Arc<Semaphore>,
    unary: Arc<Semaphore>,
}

impl Calls {
    pub(super) fn new() -> Self {
        let sets = [
            proto::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        Self {
            streaming: Arc::new(sets.into_iter().flat_map(streaming).collect()),
            streams: Arc::new(Semaphore::new(STREAMS)),
            unary: Arc::new(Semaphore::new(CALLS)),
        }
    }

    /// A place among the calls of its kind, for as long as it lasts.
    fn place(&self, path: &str, streams: bool) -> Result<Option<OwnedSemaphorePermit>, Status> {
        if path.starts_with("/firehall.v1.AgentService/") {
            return Ok(None);
        }
        let (places, what, most) = if streams {
            (&self.streams, "streaming calls are open", STREAMS)
        } else {
            (&self.unary, "calls are under way", CALLS)
        };
        Arc::clone(places).try_acquire_owned().map(Some).map_err(|_| {
            errors::exhausted(
                format_args!("{most} {what} at this server, which is the most"),
                AGAIN,
            )
        })
    }
}

/// The paths of a descriptor set's methods that answer with a stream.
fn streaming(set: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(set).expect("descriptors of our own build");
    let mut found = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let methods = service.method.iter().filter(|method| method.server_streaming());
            found.extend(
                methods.map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name())),
            );
        }
    }
    found
}

/// Passes a call on within its bounds.
pub(super) async fn bounded(State(calls): State<Calls>, request: Request, next: Next) -> Response {
    match admitted(&calls, request, next).await {
        Ok(response) => response,
        Err(status) => status.into_http(),
    }
}

async fn admitted(calls: &Calls, request: Request, next: Next) -> Result<Response, Status> {
    let path = request.uri().path();
    let streams = calls.streaming.contains(path);
    let arrived = request
        .extensions()
        .get::<Arrived>()
        .map_or_else(Instant::now, |arrived| arrived.0);
    let asked = timeout(request.headers())?;
    let at_most = match asked {
        None if streams => None,
        None => Some(UNARY),
        Some(asked) if streams => Some(asked),
        Some(asked) => Some(asked.min(UNARY)),
    };
    let until = at_most.and_then(|at_most| arrived.checked_add(at_most.saturating_sub(EARLIER)));
    if until.is_some_and(|until| until <= Instant::now()) {
        return Err(ending::exceeded());
    }
    let place = calls.place(path, streams)?;
    // A defect ends its call only, with a status.
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answer = match until {
        Some(until) => tokio::time::timeout_at(until, answer)
            .await
            .map_err(|_| ending::exceeded())?,
        None => answer.await,
    };
    let response = answer.map_err(|_| errors::defect("a call ended by a panic", "see the panic above"))?;
    if let Some(status) = unreadable::in_headers(response.headers()) {
        return Ok(status.into_http());
    }
    // Whole when it answers: only a stream can still be late.
    let until = until.filter(|_| streams);
    Ok(response.map(|body| Body::new(Ending::new(body, until, place))))
}

/// The client's timeout, as gRPC writes it: at most eight digits and a unit.
///
/// # Errors
/// INVALID_ARGUMENT when it is written otherwise.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(text) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let read = || {
        let (number, unit) = text.to_str().ok()?.split_at_checked(text.len().checked_sub(1)?)?;
        if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(number * 3_600),
            "M" => Duration::from_secs(number * 60),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    };
    match read() {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(errors::invalid(
            "grpc-timeout",
            "a header of at most eight digits and one of H, M, S, m, u, n: 250m are 250 milliseconds",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Calls, HeaderMap, timeout};

    fn read(text: &str) -> Result<Option<Duration>, tonic::Code> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = text.parse() {
            headers.insert("grpc-timeout", value);
        }
        timeout(&headers).map_err(|status| status.code())
    }

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        for (text, expected) in [
            ("99999999H", Duration::from_secs(99_999_999 * 3_600)),
            ("3M", Duration::from_secs(180)),
            ("0S", Duration::ZERO),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("1n", Duration::from_nanos(1)),
        ] {
            assert_eq!(read(text), Ok(Some(expected)), "{text}");
        }
        for wrong in ["", "5", "S", "-1S", "1.5S", "123456789S", "1h", "1 S", "é"] {
            assert_eq!(read(wrong), Err(tonic::Code::InvalidArgument), "{wrong}");
        }
    }

    #[test]
    fn streams_are_known_by_the_descriptors() {
        let streaming = Calls::new().streaming;
        for path in [
            "/firehall.v1.RunService/Watch",
            "/firehall.v1.EventService/Subscribe",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(streaming.contains(path), "{path}");
        }
        assert!(!streaming.contains("/firehall.v1.RunService/Start"));
    }
}
