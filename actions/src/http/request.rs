//! `http/request`: the signature, the tries, and what a failure of one means for the step.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use node::egress::guarded::{Answer, Bounds, GuardError, Outgoing};
use reqwest::{Method, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, FailureKind, IfLost, Object, Param, Signature, Trust, Type};

use super::{answer, outgoing};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, may_give, optional, read, signature},
    tries::{Failed, retry_after, tries},
};

/// Bytes of the answer by default, and at most: outputs take 256 KiB together.
const ANSWER_BYTES: i64 = 64 * 1024;
const ANSWER_MAX: i64 = 128 * 1024;
/// Seconds of one try by default, and at most.
const SECONDS: i64 = 10;
const SECONDS_MAX: i64 = 60;
/// Further tries by default, and at most.
const RETRIES: i64 = 3;
const RETRIES_MAX: i64 = 10;
/// Redirects by default, and at most.
const REDIRECTS: i64 = 5;
const REDIRECTS_MAX: i64 = 10;

pub(crate) struct Request;

#[derive(Deserialize)]
pub(super) struct Params {
    pub(super) url: Option<String>,
    pub(super) connection: Option<String>,
    pub(super) method: String,
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) json: Option<Value>,
    pub(super) form: Option<BTreeMap<String, String>>,
    pub(super) body: Option<String>,
    expect: Vec<i64>,
    idempotent: bool,
    retries: i64,
    redirects: i64,
    seconds: i64,
    max_bytes: i64,
}

fn wheres() -> [(&'static str, Param); 6] {
    let map = || Type::Map(Box::new(Type::String));
    let none = || Some(json!({}));
    [
        (
            "url",
            optional(
                Type::String,
                Trust::Trusted,
                None,
                "http or https. Its host must be public, or allowed by `--allow net:…` of the agent.",
            ),
        ),
        (
            "connection",
            optional(
                Type::String,
                Trust::Trusted,
                None,
                "In place of `url`: a place that the agent's operator named by `--http NAME=URL`, with its secret.",
            ),
        ),
        (
            "method",
            optional(
                Type::String,
                Trust::Trusted,
                Some(json!("GET")),
                "GET, HEAD, OPTIONS, PUT, DELETE, POST or PATCH.",
            ),
        ),
        (
            "path",
            optional(
                Type::list(Type::String),
                Trust::Trusted,
                Some(json!([])),
                "Segments behind the URL's path, each encoded.",
            ),
        ),
        (
            "query",
            optional(
                map(),
                Trust::Untrusted,
                none(),
                "Names and values behind the URL's query, encoded.",
            ),
        ),
        (
            "headers",
            optional(
                map(),
                Trust::Trusted,
                none(),
                "Headers. None that holds a secret: that is what connections are for.",
            ),
        ),
    ]
}

fn whats() -> [(&'static str, Param); 9] {
    let map = Type::Map(Box::new(Type::String));
    let number = |default: i64, doc: &str| optional(Type::Int, Trust::Trusted, Some(json!(default)), doc);
    [
        (
            "json",
            optional(Type::Json, Trust::Untrusted, None, "The body, as JSON."),
        ),
        (
            "form",
            optional(map, Trust::Untrusted, None, "The body, as a form."),
        ),
        (
            "body",
            optional(Type::String, Trust::Untrusted, None, "The body, as text."),
        ),
        (
            "expect",
            optional(
                Type::list(Type::Int),
                Trust::Trusted,
                Some(json!([])),
                "Statuses that are success; 200 to 299 when empty.",
            ),
        ),
        (
            "idempotent",
            optional(
                Type::Bool,
                Trust::Trusted,
                Some(json!(false)),
                "Whether the place keeps `Idempotency-Key`, so that POST and PATCH may be tried again.",
            ),
        ),
        (
            "retries",
            number(
                RETRIES,
                "Further tries of a request that may be repeated; at most 10.",
            ),
        ),
        (
            "redirects",
            number(
                REDIRECTS,
                "Redirects that are followed; at most 10. No header goes to another place.",
            ),
        ),
        (
            "seconds",
            number(
                SECONDS,
                "For one try, redirects and the whole answer included; at most 60.",
            ),
        ),
        (
            "max_bytes",
            number(
                ANSWER_BYTES,
                "Bytes of the answer that are read; at most 131072. More is cut off, and degraded.",
            ),
        ),
    ]
}

#[async_trait]
impl Action for Request {
    fn signature(&self) -> Signature {
        let mut signature = Signature {
            effect: Effect::Writes,
            if_lost: IfLost::Fail,
            timeout_ms: 120_000,
            connection_by: Some("connection".to_owned()),
            ..signature(
                "http/request",
                "Sends one HTTP request; GET, HEAD and OPTIONS only read.",
                wheres(),
                [
                    ("status", gives(Type::Int, Trust::Trusted, "The status.")),
                    (
                        "headers",
                        gives(
                            Type::Map(Box::new(Type::String)),
                            Trust::Untrusted,
                            "Some of its headers, by their names in lower case.",
                        ),
                    ),
                    (
                        "json",
                        may_give(
                            Type::Json,
                            Trust::Untrusted,
                            "The body, where it is JSON and says so.",
                        ),
                    ),
                    (
                        "text",
                        may_give(
                            Type::String,
                            Trust::Untrusted,
                            "The body otherwise, where there is one.",
                        ),
                    ),
                    (
                        "truncated",
                        gives(
                            Type::Bool,
                            Trust::Trusted,
                            "Whether the body was longer than `max_bytes`.",
                        ),
                    ),
                    (
                        "url",
                        gives(
                            Type::String,
                            Trust::Untrusted,
                            "Where it came from after redirects, without its query.",
                        ),
                    ),
                ],
            )
        };
        let more = whats().map(|(name, param)| (name.to_owned(), param));
        signature.params.extend(more);
        signature
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let bounds = bounds(&params)?;
        let request = outgoing::outgoing(context, &params)?;
        let repeats = request.method.is_idempotent() || params.idempotent;
        let most = match u32::try_from(params.retries) {
            Ok(retries) if repeats => retries + 1,
            _ => 1,
        };
        let named = format!("{} {}", request.method, place(&request.url));
        let word = |answer: &Answer| {
            let (status, bytes) = (answer.status.as_u16(), answer.body.len());
            format!("{named}: HTTP {status}, {bytes} bytes")
        };
        let one = || once(context, &params, &request, bounds, repeats);
        let answer = tries(context, "http", most, word, one).await?;
        answer::output(answer)
    }
}

fn bounds(params: &Params) -> Result<Bounds, ActionError> {
    let within = |name: &str, value: i64, least: i64, most: i64| {
        let fits = (least..=most).contains(&value);
        let wrong = || ActionError::action(format!("http/request: {name}: expected {least} to {most}"));
        u32::try_from(value).ok().filter(|_| fits).ok_or_else(wrong)
    };
    within("retries", params.retries, 0, RETRIES_MAX)?;
    for status in &params.expect {
        within("expect", *status, 200, 599)?;
    }
    Ok(Bounds {
        whole: Duration::from_secs(u64::from(within("seconds", params.seconds, 1, SECONDS_MAX)?)),
        redirects: within("redirects", params.redirects, 0, REDIRECTS_MAX)? as usize,
        answer_bytes: within("max_bytes", params.max_bytes, 1, ANSWER_MAX)? as usize,
    })
}

/// Scheme, host and path: a query may hold what is nobody's business.
pub(super) fn place(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

async fn once(
    context: &ActionContext,
    params: &Params,
    request: &Outgoing,
    bounds: Bounds,
    repeats: bool,
) -> Result<Answer, Failed> {
    let bounds = Bounds {
        whole: bounds.whole.min(context.remaining()),
        ..bounds
    };
    let named = format!("{} {}", request.method, place(&request.url));
    let answer = context
        .connections
        .http
        .client
        .send(request.clone(), bounds)
        .await;
    let answer = answer.map_err(|error| unanswered(&named, &request.method, error, repeats))?;
    let status = answer.status.as_u16();
    let expected = if params.expect.is_empty() {
        answer.status.is_success()
    } else {
        params.expect.contains(&i64::from(status))
    };
    if expected {
        Ok(answer)
    } else {
        let mut asked = request.url.clone();
        asked.set_fragment(None);
        // The answer to a request that writes may have been a redirect that says "done, look there".
        let done = !request.method.is_safe() && answer.url != asked;
        Err(unexpected(context, &named, &answer, repeats, done))
    }
}

/// Nobody knows whether the other side has carried it out.
const DOUBT: &str = "; it may have been carried out, and is not sent again";

fn unanswered(named: &str, method: &Method, error: GuardError, repeats: bool) -> Failed {
    let fails = |kind, more| ActionError::new(kind, format!("{named}: {error}{more}"));
    match &error {
        GuardError::Denied { .. } => Failed::Final(fails(FailureKind::Refused, "")),
        GuardError::Unreachable(_) => Failed::Passing(fails(FailureKind::Transient, ""), None),
        GuardError::TooSlow(_) | GuardError::Broken(_) if repeats => {
            Failed::Passing(fails(FailureKind::Transient, ""), None)
        }
        GuardError::TooSlow(_) | GuardError::Broken(_) => Failed::Final(fails(FailureKind::Action, DOUBT)),
        // The first answer may have been a redirect that says "done, look there".
        GuardError::Redirect(_) if !method.is_safe() => Failed::Final(fails(FailureKind::Action, DOUBT)),
        GuardError::Redirect(_) | GuardError::Url(_) | GuardError::Encoding(_) | GuardError::Client(_) => {
            Failed::Final(fails(FailureKind::Action, ""))
        }
    }
}

fn unexpected(context: &ActionContext, named: &str, answer: &Answer, repeats: bool, done: bool) -> Failed {
    let said = answer::said(&answer.body);
    let fails = |kind, more| {
        let status = answer.status.as_u16();
        ActionError::new(kind, format!("{named}: HTTP {status}{said}{more}"))
    };
    let wait = answer
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|text| retry_after(context, text));
    let passing = |kind| {
        let mut error = fails(kind, "");
        error.retry_after_ms = wait.and_then(|wait| u64::try_from(wait.as_millis()).ok());
        Failed::Passing(error, wait)
    };
    match answer.status {
        _ if done && !repeats => Failed::Final(fails(FailureKind::Action, DOUBT)),
        StatusCode::TOO_MANY_REQUESTS => passing(FailureKind::RateLimited),
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
            if repeats =>
        {
            passing(FailureKind::Transient)
        }
        status if status.is_server_error() && !repeats => Failed::Final(fails(FailureKind::Action, DOUBT)),
        _ => Failed::Final(fails(FailureKind::Action, "")),
    }
}
