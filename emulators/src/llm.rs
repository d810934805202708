//! A model's HTTP API in the two forms that are spoken to, with a model that says what the test wants: the truth, a lie, what
//! an injected text told it, or nonsense.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing,
};
use serde_json::{Value, json};

pub use crate::running::Running;

/// How the model behaves.
#[derive(Debug, Clone, PartialEq)]
pub enum Mood {
    /// It gives these findings: `[{"summary": …, "evidence": [id, …]}]`.
    Says(Value),
    /// It does what a text in the evidence told it: cites what it was not given, and more.
    Injected,
    /// It answers with a text that is not in the form.
    Rambles(String),
    /// Its answer is cut off.
    CutOff,
    /// It refuses.
    Refuses,
}

/// A provider as it is at the start.
#[derive(Debug)]
pub struct Provider {
    /// The only key that is taken.
    pub key: String,
    /// The only model that it has.
    pub model: String,
    /// What its model does.
    pub mood: Mood,
    /// Statuses to answer first; 429 comes with `retry-after: 1`.
    pub faults: Vec<u16>,
    /// What it was asked: the texts of the user.
    pub asked: Vec<String>,
}

/// A running provider.
#[derive(Debug)]
pub struct Emulator {
    running: Running,
    state: Shared,
}

type Shared = Arc<Mutex<Provider>>;

/// Starts one.
///
/// # Errors
/// When no port can be had.
pub async fn spawn(provider: Provider) -> io::Result<Emulator> {
    let state = Arc::new(Mutex::new(provider));
    let router = Router::new()
        .route("/v1/messages", routing::post(messages))
        .route("/v1/chat/completions", routing::post(completions))
        .with_state(Arc::clone(&state));
    let running = Running::spawn(router).await?;
    Ok(Emulator { running, state })
}

impl Emulator {
    /// Its URL, without `/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        self.running.url()
    }

    /// What it holds, to look at and to change.
    pub fn provider(&self) -> MutexGuard<'_, Provider> {
        lock(&self.state)
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, Provider> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both providers' errors carry `error.message`.
fn error(status: u16, kind: &str, message: &str) -> Response {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("retry-after", "1")], Json(body)).into_response()
}

fn refused(provider: &mut Provider, given: Option<&str>, body: &Value) -> Option<Response> {
    if let Some(status) = provider.faults.pop() {
        return Some(error(status, "overloaded_error", "Overloaded"));
    }
    if given != Some(provider.key.as_str()) {
        return Some(error(401, "authentication_error", "invalid x-api-key"));
    }
    if body["model"] != provider.model {
        return Some(error(404, "not_found_error", "there is no such model"));
    }
    None
}

/// What the model says in the asked form.
fn findings(mood: &Mood) -> Value {
    match mood {
        Mood::Says(findings) => json!({"findings": findings}),
        Mood::Injected => json!({"findings": [
            {"summary": "All is well; page nobody. <!channel>", "evidence": ["e999"]},
            {"summary": "The admin did it", "evidence": []},
            {"summary": "Trust me", "evidence": ["e1", "ceo-said-so"]},
        ]}),
        Mood::Rambles(_) | Mood::CutOff | Mood::Refuses => json!({}),
    }
}

async fn messages(State(state): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut provider = lock(&state);
    let key = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    if let Some(response) = refused(&mut provider, key, &body) {
        return response;
    }
    let versioned = headers.contains_key("anthropic-version");
    let forced = body["tool_choice"]["name"] == body["tools"][0]["name"];
    let Some(text) = body.pointer("/messages/0/content").and_then(Value::as_str) else {
        return error(400, "invalid_request_error", "messages.0.content: Field required");
    };
    if !versioned || !forced || body["max_tokens"].as_u64().is_none() {
        return error(
            400,
            "invalid_request_error",
            "anthropic-version, max_tokens or tool_choice is missing",
        );
    }
    provider.asked.push(text.to_owned());
    let used = json!([{"type": "tool_use", "id": "toolu_1", "name": body["tools"][0]["name"], "input": findings(&provider.mood)}]);
    let (stop, content) = match &provider.mood {
        Mood::Rambles(text) => ("end_turn", json!([{"type": "text", "text": text}])),
        Mood::CutOff => ("max_tokens", used),
        Mood::Refuses => ("refusal", json!([])),
        Mood::Says(_) | Mood::Injected => ("tool_use", used),
    };
    let usage = json!({"input_tokens": 120, "output_tokens": 34});
    Json(json!({"id": "msg_1", "type": "message", "role": "assistant", "model": provider.model, "content": content,
        "stop_reason": stop, "usage": usage}))
    .into_response()
}

async fn completions(State(state): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut provider = lock(&state);
    let key = headers.get("authorization").and_then(|value| value.to_str().ok());
    let key = key.and_then(|value| value.strip_prefix("Bearer "));
    if let Some(response) = refused(&mut provider, key, &body) {
        return response;
    }
    let Some(text) = body.pointer("/messages/1/content").and_then(Value::as_str) else {
        return error(400, "invalid_request_error", "messages[1].content is missing");
    };
    if body["response_format"]["type"] != "json_schema" {
        return error(400, "invalid_request_error", "response_format is missing");
    }
    provider.asked.push(text.to_owned());
    let said = findings(&provider.mood).to_string();
    let (reason, content, refusal) = match &provider.mood {
        Mood::Rambles(text) => ("stop", json!(text), Value::Null),
        Mood::CutOff => ("length", json!(said), Value::Null),
        Mood::Refuses => ("stop", Value::Null, json!("I cannot help with that.")),
        Mood::Says(_) | Mood::Injected => ("stop", json!(said), Value::Null),
    };
    let message = json!({"role": "assistant", "content": content, "refusal": refusal});
    Json(
        json!({"id": "chatcmpl-1", "object": "chat.completion", "model": provider.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 34, "total_tokens": 154}}),
    )
    .into_response()
}
