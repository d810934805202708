//! One Web API call from request to response: token, faults, limits, scopes, effect, answer, log.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{
    args::{self, Args, Decoded},
    calls::Call,
    catalogue::{AnyOf, Input, Method, Scopes, Tier},
    config::Limits,
    errors::{Code, Failure},
    faults::FaultKind,
    methods,
    server::{Live, Shared, now},
    wire::Switch,
};

/// Largest request body, in bytes.
const BODY_BYTES: usize = 1 << 20;

/// How a call ends.
enum Outcome {
    /// HTTP 200 with this body.
    Body(Map<String, Value>),
    /// HTTP 429.
    Limited { retry_after: u64 },
    /// This status with an HTML page.
    Page(StatusCode),
    /// No answer; the connection closes.
    Dropped,
}

/// Handles `/api/{method}`.
pub(crate) async fn call(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Response {
    let at = shared.elapsed();
    let (parts, body) = request.into_parts();
    let method = Method::named(&name);
    let Ok(body) = to_bytes(body, BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut record = Call {
        method: method.map_or("(unknown)", Method::name),
        at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
        status: None,
        ok: None,
        error: None,
        fault: None,
        channel: None,
    };
    let (outcome, delay) = match method {
        None => {
            let said = Failure::from(Code::UnknownMethod).with("req_method", name.into());
            (Outcome::Body(said.body()), Duration::ZERO)
        }
        Some(method) => {
            let json_allowed = method.spec().input == Input::Json;
            let decoded = args::decode(&parts.method, &parts.uri, &parts.headers, body, json_allowed).await;
            answer(&shared, method, &parts.headers, decoded, &mut record)
        }
    };
    note(&outcome, &mut record);
    shared.live().calls.add(record);
    tokio::time::sleep(delay).await;
    respond(outcome, &shared, method, &switch)
}

/// Runs the call under the lock; also says how long the answer is to be held back.
fn answer(
    shared: &Shared,
    method: Method,
    headers: &HeaderMap,
    decoded: Result<Decoded, Failure>,
    record: &mut Call,
) -> (Outcome, Duration) {
    let refused = |failure: Failure| (Outcome::Body(failure.body()), Duration::ZERO);
    let token = decoded.as_ref().ok().and_then(|decoded| decoded.token.as_deref());
    if let Err(code) = authenticate(shared, headers, token) {
        return refused(code.into());
    }
    let mut live = shared.live();
    let channel = decoded
        .as_ref()
        .ok()
        .and_then(|decoded| known_channel(&live, &decoded.args));
    record.channel.clone_from(&channel);
    let fault = live.faults.take(method);
    record.fault = fault.as_ref().map(FaultKind::name);
    if let Some(kind) = fault.as_ref().filter(|kind| !kind.has_effect()) {
        return (faulted(kind, shared, method), Duration::ZERO);
    }
    if shared.limits == Limits::Enforced {
        let tier = method.spec().tier;
        let key = channel.filter(|_| tier == Tier::Post).map(Into::into);
        if let Err(retry_after) = live.limiter.take(method, key, tier.rate(), shared.elapsed()) {
            return (Outcome::Limited { retry_after }, Duration::ZERO);
        }
    }
    let body = decoded.and_then(|decoded| {
        let body = effect(shared, &mut live, method, &decoded.args, host(headers))?;
        Ok(warned(body, decoded.warning))
    });
    let body = body.unwrap_or_else(|failure| failure.body());
    match fault {
        Some(FaultKind::Slow { ms }) => (Outcome::Body(body), Duration::from_millis(ms)),
        Some(FaultKind::AcceptedThenDropped) => (Outcome::Dropped, Duration::ZERO),
        Some(kind @ FaultKind::Error { .. }) => (faulted(&kind, shared, method), Duration::ZERO),
        _ => (Outcome::Body(body), Duration::ZERO),
    }
}

fn authenticate(shared: &Shared, headers: &HeaderMap, form: Option<&str>) -> Result<(), Code> {
    let header = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default());
    let given = match header {
        Some(value) => value.strip_prefix("Bearer ").map(str::trim).unwrap_or_default(),
        None => form.ok_or(Code::NotAuthed)?,
    };
    if given == shared.token {
        Ok(())
    } else {
        Err(Code::InvalidAuth)
    }
}

/// Host and port under which the caller reaches us.
fn host(headers: &HeaderMap) -> &str {
    let named = headers.get(header::HOST);
    named.and_then(|name| name.to_str().ok()).unwrap_or("127.0.0.1")
}

/// The id of the channel a call names, if there is one.
fn known_channel(live: &Live, args: &Args) -> Option<String> {
    let wanted = args.text("channel").or_else(|| args.text("channel_id"))?;
    let place = methods::find_channel(&live.ws, &wanted)?;
    Some(live.ws.channels[place].id.to_string())
}

/// Checks the scopes and runs the method.
fn effect(shared: &Shared, live: &mut Live, method: Method, args: &Args, host: &str) -> methods::Answer {
    for any_of in needed(method, args, live) {
        if !any_of.iter().any(|scope| shared.scopes.contains(*scope)) {
            return Err(missing_scope(shared, any_of));
        }
    }
    let mut call = methods::Call {
        ws: &mut live.ws,
        args,
        scopes: &shared.scopes,
        now: now(),
        host,
    };
    let mut body = methods::run(method, &mut call)?;
    body.insert("ok".to_owned(), Value::Bool(true));
    Ok(body)
}

/// The groups of scopes a call needs one of each.
fn needed(method: Method, args: &Args, live: &Live) -> Vec<AnyOf> {
    let (public, private) = match method.spec().scopes {
        Scopes::None => return Vec::new(),
        Scopes::Fixed(any_of) => {
            let custom = ["username", "icon_url", "icon_emoji"]
                .iter()
                .any(|key| args.text(key).is_some());
            let extra: Option<AnyOf> =
                (method == Method::ChatPostMessage && custom).then_some(&["chat:write.customize"]);
            return std::iter::once(any_of).chain(extra).collect();
        }
        Scopes::ByChannel { public, private } => (public, private),
    };
    match method {
        Method::ConversationsCreate => vec![if args.flag("is_private") { private } else { public }],
        Method::ConversationsList => {
            let types = args.text("types").unwrap_or("public_channel".into());
            let asks = |kind: &str| types.split(',').any(|one| one.trim() == kind);
            let public = asks("public_channel").then_some(public);
            public
                .into_iter()
                .chain(asks("private_channel").then_some(private))
                .collect()
        }
        _ => {
            let place = args.text("channel").and_then(|id| live.ws.visible(&id));
            // Of an unknown channel the kind is unknown too: the method then says channel_not_found.
            place
                .map(|place| {
                    if live.ws.channels[place].is_private {
                        private
                    } else {
                        public
                    }
                })
                .into_iter()
                .collect()
        }
    }
}

fn missing_scope(shared: &Shared, any_of: AnyOf) -> Failure {
    Failure::from(Code::MissingScope)
        .with("needed", any_of.join(",").into())
        .with("provided", granted(shared).into())
}

fn granted(shared: &Shared) -> String {
    shared
        .scopes
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(",")
}

/// All scopes with which a method may pass, for `x-accepted-oauth-scopes`.
fn accepted(method: Method) -> String {
    match method.spec().scopes {
        Scopes::None => String::new(),
        Scopes::Fixed(any_of) => any_of.join(","),
        Scopes::ByChannel { public, private } => [public, private].concat().join(","),
    }
}

/// What the caller sees of a fault, apart from an effect.
fn faulted(kind: &FaultKind, shared: &Shared, method: Method) -> Outcome {
    match kind {
        FaultKind::RateLimited { retry_after } => Outcome::Limited {
            retry_after: *retry_after,
        },
        FaultKind::Http { status } => {
            Outcome::Page(StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        FaultKind::Garbage => Outcome::Page(StatusCode::OK),
        FaultKind::Drop | FaultKind::AcceptedThenDropped | FaultKind::Slow { .. } => Outcome::Dropped,
        FaultKind::Error { code, .. } => {
            let mut body = Map::from_iter([
                ("ok".to_owned(), false.into()),
                ("error".to_owned(), code.as_str().into()),
            ]);
            if code == Code::MissingScope.as_str() {
                body.insert("needed".to_owned(), accepted(method).into());
                body.insert("provided".to_owned(), granted(shared).into());
            }
            Outcome::Body(body)
        }
    }
}

/// Adds Slack's hint about the content type, beside any warning the method gave.
fn warned(mut body: Map<String, Value>, warning: Option<&str>) -> Map<String, Value> {
    let own = body.get("warning").and_then(Value::as_str).map(str::to_owned);
    let warnings: Vec<&str> = own.as_deref().into_iter().chain(warning).collect();
    if !warnings.is_empty() {
        let list = json!(warnings);
        let metadata = body.entry("response_metadata").or_insert_with(|| json!({}));
        metadata["warnings"] = list;
        body.insert("warning".to_owned(), warnings.join(",").into());
    }
    body
}

fn note(outcome: &Outcome, record: &mut Call) {
    match outcome {
        Outcome::Body(body) => {
            record.status = Some(200);
            record.ok = body.get("ok").and_then(Value::as_bool);
            record.error = body.get("error").and_then(Value::as_str).map(str::to_owned);
        }
        Outcome::Limited { .. } => {
            record.status = Some(429);
            record.ok = Some(false);
            record.error = Some(Code::RateLimited.as_str().to_owned());
        }
        Outcome::Page(status) => record.status = Some(status.as_u16()),
        Outcome::Dropped => {}
    }
}

fn respond(outcome: Outcome, shared: &Shared, method: Option<Method>, switch: &Switch) -> Response {
    let mut response = match outcome {
        Outcome::Body(body) => Json(Value::Object(body)).into_response(),
        Outcome::Limited { retry_after } => {
            let body = Json(Failure::from(Code::RateLimited).body());
            let wait = [(header::RETRY_AFTER, retry_after.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, wait, body).into_response()
        }
        Outcome::Page(status) => (status, Html("<html><body><h1>Sorry</h1></body></html>")).into_response(),
        Outcome::Dropped => {
            switch.cut();
            StatusCode::OK.into_response()
        }
    };
    if let Some(method) = method {
        let scopes = [
            ("x-oauth-scopes", granted(shared)),
            ("x-accepted-oauth-scopes", accepted(method)),
        ];
        for (name, value) in scopes {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        }
    }
    response
}
