//! A vendor's JSON over HTTP: tries, the waits that it asks for, bounded answers. What a status means is the vendor's
//! module's to say; here are only those that pass: 429, 5xx and no answer.

use std::time::Duration;

use node::egress;
use reqwest::{RequestBuilder, Response, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;
use types::{FailureKind, Secret};

use crate::{
    ActionContext, ActionError,
    tries::{self, wait_before},
};

/// Tries after the first.
const RETRIES: u32 = 3;
/// Waits that a vendor asked for, within one call.
const WAITS: u32 = 8;

/// Whether a call that may have been carried out is just made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or a second time changes nothing.
    Safe,
    /// The caller looks first.
    LookFirst,
}

/// An answer that is neither 429 nor 5xx.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Null when the body is no JSON.
    pub(crate) body: Value,
}

/// No usable answer.
#[derive(Debug, Clone)]
pub(crate) enum RestError {
    /// 429: it was not carried out.
    RateLimited { after: Duration },
    /// `sent`: it may have been carried out all the same.
    Unavailable { what: String, sent: bool },
}

/// One vendor for one attempt.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'a> {
    /// `PagerDuty`
    pub(crate) vendor: &'static str,
    pub(crate) context: &'a ActionContext,
    /// The largest answer, in bytes.
    pub(crate) answer_bytes: usize,
}

impl RestError {
    /// Whether the call may have been carried out although it failed.
    pub(crate) fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unavailable { sent: true, .. })
    }

    /// In one line, without the vendor.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::RateLimited { after } => format!("rate limited for {} s", after.as_secs()),
            Self::Unavailable { what, .. } => what.clone(),
        }
    }

    /// As the step's failure.
    pub(crate) fn failure(&self, vendor: &str) -> ActionError {
        let message = format!("{vendor}: {}", self.why());
        match self {
            Self::RateLimited { after } => {
                let mut error = ActionError::new(FailureKind::RateLimited, message);
                error.retry_after_ms = u64::try_from(after.as_millis()).ok();
                error
            }
            Self::Unavailable { .. } => ActionError::new(FailureKind::Transient, message),
        }
    }
}

impl Rest<'_> {
    /// Makes a call; `what` names it in the log.
    pub(crate) async fn call(
        &self,
        what: &str,
        repeat: Repeat,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, RestError> {
        let (mut retries, mut waits) = (0, 0);
        loop {
            let begun = Instant::now();
            let result = self.once(request()).await;
            let word = match &result {
                Ok(answer) => format!("HTTP {}", answer.status.as_u16()),
                Err(error) => error.why(),
            };
            let spent = begun.elapsed().as_millis();
            let vendor = self.vendor;
            self.context
                .log
                .line(&format!("{vendor} {what}: {word} in {spent} ms"))
                .await;
            let error = match result {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match &error {
                RestError::RateLimited { after } if waits < WAITS => {
                    waits += 1;
                    *after
                }
                RestError::Unavailable { sent, .. }
                    if retries < RETRIES && (repeat == Repeat::Safe || !sent) =>
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

    /// Waits before a doubtful write is looked up; false when there is no time for it.
    pub(crate) async fn pause(&self, doubts: u32) -> bool {
        tries::pause(self.context, wait_before(doubts)).await
    }

    async fn once(&self, request: RequestBuilder) -> Result<Answer, RestError> {
        let unavailable = |what: String, sent: bool| RestError::Unavailable { what, sent };
        let response = request
            .send()
            .await
            .map_err(|error| unavailable(egress::chain(&error), !error.is_connect()))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(RestError::RateLimited {
                after: wait_asked_for(self.context, &response),
            });
        }
        if status.is_server_error() {
            return Err(unavailable(format!("HTTP {}", status.as_u16()), true));
        }
        let body = egress::read(response, self.answer_bytes)
            .await
            .map_err(|error| unavailable(error.to_string(), true))?;
        let body = serde_json::from_slice(&body);
        if status.is_success() && body.is_err() {
            return Err(unavailable("an answer that is no JSON".to_owned(), true));
        }
        Ok(Answer {
            status,
            body: body.unwrap_or_default(),
        })
    }
}

/// A header's value that no log shows. What a token is made of was checked when its connection was made; one that could
/// not stand in a header is sent as none, which the vendor refuses.
pub(crate) fn secret(prefix: &str, token: &Secret) -> header::HeaderValue {
    let value = header::HeaderValue::from_str(&format!("{prefix}{}", token.expose()));
    let mut value = value.unwrap_or(header::HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// A vendor's words, for a message: one line, bounded.
pub(crate) fn said(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// `Retry-After`, or `ratelimit-reset` in seconds; one second when both are missing or odd.
fn wait_asked_for(context: &ActionContext, response: &Response) -> Duration {
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let asked = header("retry-after").and_then(|text| tries::retry_after(context, text));
    let reset = || header("ratelimit-reset")?.trim().parse().ok().map(tries::wait_of);
    asked.or_else(reset).unwrap_or(Duration::from_secs(1))
}
