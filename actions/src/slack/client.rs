//! One call of the Web API: encoding, the answer's three kinds of failure, limits and safe repeats.
//!
//! The token goes into the header of the request and nowhere else; a log line has method, result and time.

use std::time::Duration;

use node::{
    backoff::{self, Backoff},
    egress,
};
use reqwest::{Response, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;
use types::Object;

use super::error::{Api, Kind, SlackError};
use crate::{ActionContext, ActionError, SlackConnection, tries};

/// One answer: a page of 200 users is about half a megabyte.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Tries after the first, when a call may be repeated.
const RETRIES: u32 = 3;
/// Doubtful ends of one write that are looked up and made again: with their pauses up to 9 s of a vendor's trouble.
pub(crate) const DOUBTS: u32 = 7;
/// Waits that a vendor asked for, within one call.
const WAITS: u32 = 8;

/// Whether a call that may have been carried out can just be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or a second time changes nothing.
    Safe,
    /// The caller looks first.
    LookFirst,
}

/// An answer with `ok: true`.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) body: Object,
    /// `x-oauth-scopes`: what the token may do, where Slack said it.
    pub(crate) scopes: Option<Vec<String>>,
}

impl Reply {
    /// A text in the body, by a JSON pointer.
    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.body.get(*first)?, |value, key| value.get(*key))?
            .as_str()
    }

    /// A list in the body; empty when there is none.
    pub(crate) fn list(&self, key: &str) -> &[Value] {
        self.body
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The cursor of the next page; none at the end.
    pub(crate) fn next_cursor(&self) -> Option<String> {
        self.text(&["response_metadata", "next_cursor"])
            .filter(|cursor| !cursor.is_empty())
            .map(str::to_owned)
    }
}

/// Slack for one attempt.
#[derive(Clone, Copy)]
pub(crate) struct Slack<'a> {
    pub(crate) connection: &'a SlackConnection,
    pub(crate) context: &'a ActionContext,
}

impl<'a> Slack<'a> {
    /// The agent's connection.
    pub(crate) fn of(context: &'a ActionContext) -> Result<Self, ActionError> {
        let connection = context.connections.slack.as_ref();
        let connection = connection.ok_or_else(|| {
            ActionError::new(
                types::FailureKind::Refused,
                "this agent holds no Slack connection: set SLACK_BOT_TOKEN for it",
            )
        })?;
        Ok(Self { connection, context })
    }

    /// A reading method: GET with a query, as the reference has it; they take no JSON.
    pub(crate) async fn read(
        &self,
        method: &'static str,
        query: &[(&str, &str)],
    ) -> Result<Reply, SlackError> {
        let request = || self.connection.http.get(self.url(method)).query(query);
        self.call(method, Repeat::Safe, request).await
    }

    /// A writing method: JSON.
    pub(crate) async fn write(
        &self,
        method: &'static str,
        repeat: Repeat,
        body: &Value,
    ) -> Result<Reply, SlackError> {
        let text = body.to_string();
        let request = || {
            let post = self.connection.http.post(self.url(method));
            // The charset spares the warning `missing_charset`.
            post.header(header::CONTENT_TYPE, "application/json; charset=utf-8")
                .body(text.clone())
        };
        self.call(method, repeat, request).await
    }

    /// A method that takes a form and no JSON, and may be called again.
    pub(crate) async fn form(
        &self,
        method: &'static str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, SlackError> {
        let request = || self.connection.http.post(self.url(method)).form(fields);
        self.call(method, Repeat::Safe, request).await
    }

    fn url(&self, method: &str) -> String {
        format!("{}{method}", self.connection.base)
    }

    async fn call(
        &self,
        method: &'static str,
        repeat: Repeat,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<Reply, SlackError> {
        let (mut retries, mut waits) = (0, 0);
        loop {
            let begun = Instant::now();
            let result = self.once(method, request()).await;
            let spent = begun.elapsed().as_millis();
            let word = result.as_ref().map_or_else(SlackError::why, |_| "ok".to_owned());
            self.context
                .log
                .line(&format!("slack {method}: {word} in {spent} ms"))
                .await;
            let error = match result {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let pause = match &error.kind {
                Kind::RateLimited { after } if waits < WAITS => {
                    waits += 1;
                    *after
                }
                _ if error.may_pass()
                    && retries < RETRIES
                    && (repeat == Repeat::Safe || !error.may_have_happened())
                    && !matches!(error.kind, Kind::RateLimited { .. }) =>
                {
                    retries += 1;
                    wait_before(retries - 1)
                }
                _ => return Err(error),
            };
            if !tries::pause(self.context, pause).await {
                return Err(error);
            }
        }
    }

    /// Waits before a doubtful write is looked up and made again; `doubts` counts those before it, from 0. False when
    /// the budget has no room for it or the attempt is to stop.
    pub(crate) async fn pause(&self, doubts: u32) -> bool {
        tries::pause(self.context, wait_before(doubts)).await
    }

    async fn once(
        &self,
        method: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply, SlackError> {
        let unavailable =
            |what: String, sent: bool| SlackError::new(method, Kind::Unavailable { what, sent });
        let mut token = header::HeaderValue::from_str(&format!("Bearer {}", self.connection.token.expose()))
            .map_err(|_| unavailable("the token cannot stand in a header".to_owned(), false))?;
        token.set_sensitive(true);
        let sent = request.header(header::AUTHORIZATION, token).send().await;
        let response = sent.map_err(|error| unavailable(egress::chain(&error), !error.is_connect()))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(SlackError::new(
                method,
                Kind::RateLimited {
                    after: retry_after(&response),
                },
            ));
        }
        if status.is_server_error() {
            return Err(unavailable(format!("HTTP {}", status.as_u16()), true));
        }
        let scopes = response
            .headers()
            .get("x-oauth-scopes")
            .and_then(|value| value.to_str().ok())
            .map(|list| {
                list.split(',')
                    .map(str::trim)
                    .filter(|scope| !scope.is_empty())
                    .map(str::to_owned)
                    .collect()
            });
        let body = egress::read(response, ANSWER_BYTES)
            .await
            .map_err(|error| unavailable(error.to_string(), true))?;
        match serde_json::from_slice::<Object>(&body) {
            Ok(body) => match body.get("ok").and_then(Value::as_bool) {
                Some(true) => Ok(Reply { body, scopes }),
                Some(false) => Err(SlackError::new(method, refused(body))),
                None => Err(unavailable(
                    "the answer is not Slack's: it has no ok".to_owned(),
                    true,
                )),
            },
            // Not Slack itself, but a stand-in that does not have the method.
            Err(_) if status == StatusCode::NOT_FOUND => {
                let body = serde_json::json!({"error": "unknown_method"});
                Err(SlackError::new(
                    method,
                    Kind::Api(Api::from_body(body.as_object().cloned().unwrap_or_default())),
                ))
            }
            Err(_) => Err(unavailable(
                format!("HTTP {} without JSON", status.as_u16()),
                true,
            )),
        }
    }
}

/// Slack also says in a 200 that it limits us.
fn refused(body: Object) -> Kind {
    let api = Api::from_body(body);
    match api.code.as_str() {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => Kind::RateLimited {
            after: Duration::from_secs(1),
        },
        _ => Kind::Api(api),
    }
}

/// Full jitter below 200 ms, doubling to 2 s.
fn wait_before(retry: u32) -> Duration {
    const PACE: Result<Backoff, backoff::InvalidBackoff> =
        Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    PACE.map_or(Duration::from_secs(1), |pace| {
        pace.wait(retry, backoff::entropy())
    })
}

/// `Retry-After` in whole seconds; one second when it is missing or odd.
fn retry_after(response: &Response) -> Duration {
    let header = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    Duration::from_secs(
        header
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(1)
            .clamp(1, 3_600),
    )
}
