//! PagerDuty's REST API, version 2: on-calls by pages, incidents and their notes.
//! <https://developer.pagerduty.com/docs/rest-api-overview>

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing,
};
use serde_json::{Value, json};

pub use crate::running::Running;

/// The largest page.
const PAGE: usize = 100;

/// An account as it is at the start.
#[derive(Debug, Default)]
pub struct Account {
    /// The only key that is taken.
    pub token: String,
    /// Whether the key may only read.
    pub read_only: bool,
    /// The users in whose name something may be written.
    pub users: Vec<String>,
    /// Entries of `/oncalls`.
    pub oncalls: Vec<Value>,
    /// Incidents with their notes under `notes`, which are not shown with them.
    pub incidents: Vec<Value>,
    /// What happens to the next calls.
    pub faults: Vec<Fault>,
    /// Queries of `/oncalls`, as they came.
    pub asked: Vec<String>,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, and nothing is done.
    Status(u16),
    /// 429 with `ratelimit-reset`, in seconds.
    Limited(u64),
    /// It is done, and answered with 502.
    DoneThenLost,
}

/// A running account.
#[derive(Debug)]
pub struct Emulator {
    running: Running,
    state: Shared,
}

type Shared = Arc<Mutex<Account>>;

/// Starts one.
///
/// # Errors
/// When no port can be had.
pub async fn spawn(account: Account) -> io::Result<Emulator> {
    let state = Arc::new(Mutex::new(account));
    let router = Router::new()
        .route("/oncalls", routing::get(oncalls))
        .route("/incidents/{id}", routing::get(incident))
        .route("/incidents/{id}/notes", routing::get(notes).post(add_note))
        .with_state(Arc::clone(&state));
    let running = Running::spawn(router).await?;
    Ok(Emulator { running, state })
}

impl Emulator {
    /// Its API's URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.running.url()
    }

    /// What it holds, to look at and to change.
    pub fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.state)
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, Account> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(status: u16, code: u32, message: &str, errors: &[&str]) -> Response {
    let body = json!({"error": {"message": message, "code": code, "errors": errors}});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

/// Key, version and faults; what refuses. `DoneThenLost` is the caller's.
fn refused(account: &mut Account, headers: &HeaderMap) -> Option<Response> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(format!("Token token={}", account.token).as_str()) {
        return Some(error(401, 2006, "Unauthorized", &[]));
    }
    if header("accept") != Some("application/vnd.pagerduty+json;version=2") {
        return Some(error(406, 2100, "Not Acceptable", &[]));
    }
    match account.faults.last() {
        Some(Fault::Status(status)) => {
            let status = *status;
            account.faults.pop();
            Some(error(status, 2000, "a fault that the test asked for", &[]))
        }
        Some(Fault::Limited(seconds)) => {
            let seconds = *seconds;
            account.faults.pop();
            let headers = [("ratelimit-reset", seconds.to_string())];
            Some((StatusCode::TOO_MANY_REQUESTS, headers, "").into_response())
        }
        Some(Fault::DoneThenLost) | None => None,
    }
}

async fn oncalls(
    State(state): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let mut account = lock(&state);
    if let Some(response) = refused(&mut account, &headers) {
        return response;
    }
    account.asked.push(format!("{query:?}"));
    let all = |name: &str| -> Vec<&str> {
        let named = query.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).collect()
    };
    let number = |name: &str| all(name).first().and_then(|text| text.parse::<usize>().ok());
    let (schedules, policies) = (all("schedule_ids[]"), all("escalation_policy_ids[]"));
    let among = |ids: &[&str], entry: &Value, path: &str| {
        ids.is_empty()
            || entry
                .pointer(path)
                .and_then(Value::as_str)
                .is_some_and(|id| ids.contains(&id))
    };
    let fits = |entry: &&Value| {
        among(&schedules, entry, "/schedule/id") && among(&policies, entry, "/escalation_policy/id")
    };
    let matching: Vec<&Value> = account.oncalls.iter().filter(fits).collect();
    let (limit, offset) = (
        number("limit").unwrap_or(25).min(PAGE),
        number("offset").unwrap_or(0),
    );
    let with_users = all("include[]").contains(&"users");
    let page = matching.iter().skip(offset).take(limit).map(|entry| {
        let mut entry = (*entry).clone();
        if !with_users {
            // A reference has neither name nor address.
            let id = entry["user"]["id"].clone();
            entry["user"] = json!({"id": id, "type": "user_reference", "summary": entry["user"]["name"]});
        }
        entry
    });
    let page: Vec<Value> = page.collect();
    let more = offset + page.len() < matching.len();
    Json(json!({"oncalls": page, "limit": limit, "offset": offset, "more": more, "total": null}))
        .into_response()
}

fn not_found() -> Response {
    error(404, 2100, "Not Found", &[])
}

async fn incident(State(state): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let mut account = lock(&state);
    if let Some(response) = refused(&mut account, &headers) {
        return response;
    }
    let Some(found) = account.incidents.iter().find(|one| one["id"] == id) else {
        return not_found();
    };
    let mut shown = found.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("notes");
    }
    Json(json!({"incident": shown})).into_response()
}

async fn notes(State(state): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let mut account = lock(&state);
    if let Some(response) = refused(&mut account, &headers) {
        return response;
    }
    match account.incidents.iter().find(|one| one["id"] == id) {
        Some(found) => Json(json!({"notes": found["notes"]})).into_response(),
        None => not_found(),
    }
}

async fn add_note(
    State(state): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let mut account = lock(&state);
    if let Some(response) = refused(&mut account, &headers) {
        return response;
    }
    if account.read_only {
        return error(403, 2010, "Forbidden", &["the key is read-only"]);
    }
    let from = headers.get("from").and_then(|value| value.to_str().ok());
    let Some(from) = from
        .filter(|from| account.users.iter().any(|user| user == from))
        .map(str::to_owned)
    else {
        return error(400, 2001, "Invalid Input Provided", &["Requester User Not Found"]);
    };
    let Some(content) = body.pointer("/note/content").and_then(Value::as_str) else {
        return error(400, 2001, "Invalid Input Provided", &["Content cannot be empty."]);
    };
    let Some(found) = account.incidents.iter_mut().find(|one| one["id"] == id) else {
        return not_found();
    };
    let Some(notes) = found["notes"].as_array_mut() else {
        return not_found();
    };
    let note =
        json!({"id": format!("PNOTE{}", notes.len() + 1), "content": content, "user": {"summary": from}});
    notes.push(note.clone());
    if account.faults.last() == Some(&Fault::DoneThenLost) {
        account.faults.pop();
        return error(502, 2000, "Bad Gateway", &[]);
    }
    (StatusCode::CREATED, Json(json!({"note": note}))).into_response()
}
