//! As much of S3 as a client of objects meets: put, get, uploads in parts; requests must be signed, and their bodies be what
//! they say.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

/// A bucket on a free port.
pub(crate) struct Bucket {
    url: String,
    state: Arc<Held>,
}

#[derive(Default)]
struct Held {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    uploads: Mutex<BTreeMap<String, BTreeMap<u32, Vec<u8>>>>,
    multipart: AtomicUsize,
    unsigned: AtomicUsize,
    refuses: AtomicBool,
}

impl Bucket {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Held::default());
        let app = Router::new().fallback(answer).with_state(state.clone());
        let app = app.layer(axum::extract::DefaultBodyLimit::disable());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on it refuses all, in S3's words for "not you", or no more.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.state.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Uploads in parts that were finished.
    pub(crate) fn multipart(&self) -> usize {
        self.state.multipart.load(Ordering::SeqCst)
    }

    /// Requests without a signature, or with a body that is not what it says.
    pub(crate) fn unsigned(&self) -> usize {
        self.state.unsigned.load(Ordering::SeqCst)
    }
}

fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let sum: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let says = text("x-amz-content-sha256");
    text("authorization").starts_with("AWS4-HMAC-SHA256 Credential=key/")
        && text("authorization").contains("Signature=")
        && (says == sum || says == "UNSIGNED-PAYLOAD")
}

fn xml(text: String) -> Response {
    ([("content-type", "application/xml")], text).into_response()
}

async fn answer(
    State(held): State<Arc<Held>>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_signed(&headers, &body) {
        held.unsigned.fetch_add(1, Ordering::SeqCst);
        return StatusCode::FORBIDDEN.into_response();
    }
    if held.refuses.load(Ordering::SeqCst) {
        return (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>").into_response();
    }
    let name = uri.path().trim_start_matches("/kept/").to_owned();
    let upload = query.get("uploadId").cloned();
    match (method, upload) {
        (Method::POST, None) if query.contains_key("uploads") => {
            held.uploads.lock().unwrap().insert(name.clone(), BTreeMap::new());
            xml(format!(
                "<InitiateMultipartUploadResult><Bucket>kept</Bucket><Key>{name}</Key><UploadId>{name}</UploadId>\
                 </InitiateMultipartUploadResult>"
            ))
        }
        (Method::PUT, Some(upload)) => {
            let number: u32 = query["partNumber"].parse().unwrap();
            let mut uploads = held.uploads.lock().unwrap();
            uploads.get_mut(&upload).unwrap().insert(number, body.to_vec());
            [("etag", format!("\"{number}\""))].into_response()
        }
        (Method::POST, Some(upload)) => {
            let parts = held.uploads.lock().unwrap().remove(&upload).unwrap();
            let whole = parts.into_values().flatten().collect();
            held.objects.lock().unwrap().insert(name.clone(), whole);
            held.multipart.fetch_add(1, Ordering::SeqCst);
            xml(format!(
                "<CompleteMultipartUploadResult><Bucket>kept</Bucket><Key>{name}</Key><ETag>\"1\"</ETag>\
                 </CompleteMultipartUploadResult>"
            ))
        }
        (Method::PUT, None) => {
            held.objects.lock().unwrap().insert(name, body.to_vec());
            [("etag", "\"1\"")].into_response()
        }
        (Method::GET, None) => match held.objects.lock().unwrap().get(&name) {
            Some(object) => (
                [
                    ("etag", "\"1\""),
                    ("last-modified", "Wed, 25 Nov 2026 10:00:00 GMT"),
                ],
                object.clone(),
            )
                .into_response(),
            None => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response(),
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
