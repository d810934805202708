//! A cluster's API server: events by pages that expire, objects of `apps/v1`, and rights.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/>

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use serde_json::{Value, json};

pub use crate::running::Running;

/// A cluster as it is at the start.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The only token that is taken.
    pub token: String,
    /// What it may read: `events` in `payments`, say.
    pub rights: BTreeSet<(String, String)>,
    /// Events by namespace.
    pub events: BTreeMap<String, Vec<Value>>,
    /// Objects by resource, namespace and name.
    pub objects: BTreeMap<(String, String, String), Value>,
    /// How many `continue` tokens are answered with 410 before one is taken.
    pub expires: u32,
    /// Statuses to answer first.
    pub faults: Vec<u16>,
    /// Paths with their queries, as they came.
    pub asked: Vec<String>,
}

/// A running cluster.
#[derive(Debug)]
pub struct Emulator {
    running: Running,
    state: Shared,
}

type Shared = Arc<Mutex<Cluster>>;

/// Starts one.
///
/// # Errors
/// When no port can be had.
pub async fn spawn(cluster: Cluster) -> io::Result<Emulator> {
    let state = Arc::new(Mutex::new(cluster));
    let router = Router::new()
        .route("/api/v1/namespaces/{namespace}/events", routing::get(events))
        .route(
            "/apis/apps/v1/namespaces/{namespace}/{resource}/{name}",
            routing::get(object),
        )
        .with_state(Arc::clone(&state));
    let running = Running::spawn(router).await?;
    Ok(Emulator { running, state })
}

impl Emulator {
    /// Its API server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.running.url()
    }

    /// What it holds, to look at and to change.
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        lock(&self.state)
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, Cluster> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A `Status` object.
fn status(code: u16, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code,
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, Json(body)).into_response()
}

/// Token and right; what refuses.
fn refused(
    cluster: &mut Cluster,
    headers: &HeaderMap,
    right: (&str, &str, &str),
    namespace: &str,
) -> Option<Response> {
    if let Some(code) = cluster.faults.pop() {
        return Some(status(
            code,
            "ServiceUnavailable",
            "a fault that the test asked for",
        ));
    }
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if given != Some(format!("Bearer {}", cluster.token).as_str()) {
        return Some(status(401, "Unauthorized", "Unauthorized"));
    }
    let (verb, group, resource) = right;
    if cluster
        .rights
        .contains(&(resource.to_owned(), namespace.to_owned()))
    {
        return None;
    }
    let message = format!(
        "{resource} is forbidden: User \"system:serviceaccount:firehall:agent\" cannot {verb} resource \"{resource}\" \
         in API group \"{group}\" in the namespace \"{namespace}\""
    );
    Some(status(403, "Forbidden", &message))
}

async fn events(
    State(state): State<Shared>,
    Path(namespace): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut cluster = lock(&state);
    cluster.asked.push(format!("events of {namespace} {query:?}"));
    if let Some(response) = refused(&mut cluster, &headers, ("list", "", "events"), &namespace) {
        return response;
    }
    let place = query.get("continue").map(|token| token.parse::<usize>());
    if place.is_some() && cluster.expires > 0 {
        cluster.expires -= 1;
        let words = "The provided continue parameter is too old to display a consistent list result.";
        return status(410, "Expired", words);
    }
    let Ok(from) = place.transpose() else {
        return status(400, "BadRequest", "continue key is not valid");
    };
    let from = from.unwrap_or(0);
    let selector = query.get("fieldSelector").map(String::as_str).unwrap_or_default();
    let Some(matching) = cluster
        .events
        .get(&namespace)
        .map_or(Some(Vec::new()), |events| select(events, selector))
    else {
        return status(400, "BadRequest", "field label not supported");
    };
    let limit = query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(500_usize);
    let page: Vec<&Value> = matching.iter().skip(from).take(limit).copied().collect();
    let next = from + page.len();
    let mut metadata = json!({"resourceVersion": "10245"});
    if next < matching.len() {
        metadata["continue"] = next.to_string().into();
    }
    Json(json!({"kind": "EventList", "apiVersion": "v1", "metadata": metadata, "items": page}))
        .into_response()
}

/// Those that a field selector takes; none for a field that events do not have.
fn select<'e>(events: &'e [Value], selector: &str) -> Option<Vec<&'e Value>> {
    let mut wanted: Vec<(String, &str)> = Vec::new();
    for part in selector.split(',').filter(|part| !part.is_empty()) {
        let (field, value) = part.split_once('=')?;
        if !matches!(
            field,
            "type" | "reason" | "involvedObject.kind" | "involvedObject.name"
        ) {
            return None;
        }
        wanted.push((format!("/{}", field.replace('.', "/")), value));
    }
    let fits = |event: &&Value| {
        wanted
            .iter()
            .all(|(path, value)| event.pointer(path).and_then(Value::as_str) == Some(value))
    };
    Some(events.iter().filter(fits).collect())
}

async fn object(
    State(state): State<Shared>,
    Path((namespace, resource, name)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut cluster = lock(&state);
    cluster.asked.push(format!("{resource} {namespace}/{name}"));
    if let Some(response) = refused(&mut cluster, &headers, ("get", "apps", &resource), &namespace) {
        return response;
    }
    match cluster.objects.get(&(resource.clone(), namespace, name.clone())) {
        Some(object) => Json(object).into_response(),
        None => status(404, "NotFound", &format!("{resource}.apps \"{name}\" not found")),
    }
}
