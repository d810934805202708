//! One call of Datadog's API: keys, limits, refusals. Everything here reads.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, header::HeaderValue};
use serde_json::Value;
use types::FailureKind;

use crate::{
    ActionContext, ActionError, DatadogConnection,
    tries::{Failed, tries, wait_of},
    vendor::{self, Reply, said},
};

const TRIES: u32 = 4;

/// What is asked, and by whom.
#[derive(Clone, Copy)]
pub(crate) struct Datadog<'a> {
    pub(crate) context: &'a ActionContext,
    pub(crate) connection: &'a DatadogConnection,
    /// For the log and errors: `logs`.
    pub(crate) what: &'static str,
    /// The permission that the application key needs.
    pub(crate) scope: &'static str,
}

/// An answer, and how long it is until the period's limit is new where this call has used it up.
pub(crate) struct Answer {
    pub(crate) body: Value,
    pub(crate) pause: Option<Duration>,
}

impl<'a> Datadog<'a> {
    /// The agent's connection.
    pub(crate) fn of(
        context: &'a ActionContext,
        what: &'static str,
        scope: &'static str,
    ) -> Result<Self, ActionError> {
        let connection = context.connections.datadog.as_ref().ok_or_else(|| {
            ActionError::new(
                FailureKind::Refused,
                "this agent holds no Datadog connection: set DD_API_KEY and DD_APP_KEY for it",
            )
        })?;
        Ok(Self {
            context,
            connection,
            what,
            scope,
        })
    }

    /// A GET.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, ActionError> {
        let url = format!("{}{path}", self.connection.base);
        self.call(|| self.connection.http.get(&url).query(query)).await
    }

    /// A POST that searches.
    pub(crate) async fn search(&self, path: &str, body: &Value) -> Result<Answer, ActionError> {
        let url = format!("{}{path}", self.connection.base);
        self.call(|| self.connection.http.post(&url).json(body)).await
    }

    async fn call(&self, request: impl Fn() -> RequestBuilder) -> Result<Answer, ActionError> {
        let what = format!("datadog {}", self.what);
        let word = |_: &Answer| "ok".to_owned();
        let once = || async {
            let keyed = request()
                .header("DD-API-KEY", key(self.connection.api_key.expose())?)
                .header("DD-APPLICATION-KEY", key(self.connection.app_key.expose())?);
            self.judged(&vendor::fetch("Datadog", keyed).await?)
        };
        tries(self.context, &what, TRIES, word, once).await
    }

    fn judged(&self, reply: &Reply) -> Result<Answer, Failed> {
        let status = reply.status.as_u16();
        let told = reply.value().map(|body| errors(&body)).unwrap_or_default();
        let fails = |why: String| Err(Failed::Final(ActionError::action(why)));
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            let wait = reset(reply).unwrap_or(Duration::from_secs(1));
            let mut error = ActionError::new(
                FailureKind::RateLimited,
                format!("Datadog limits us for {} s", wait.as_secs()),
            );
            error.retry_after_ms = u64::try_from(wait.as_millis()).ok();
            return Err(Failed::Passing(error, Some(wait)));
        }
        if let Some(trouble) = reply.trouble(self.context, &told) {
            return Err(trouble);
        }
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => fails(format!(
                "Datadog refused the keys{told}: check DD_API_KEY, DD_APP_KEY (scope {}) and DD_SITE on the agent",
                self.scope
            )),
            StatusCode::NOT_FOUND => fails(format!(
                "Datadog: {}: HTTP 404{told}: there is none, or the keys may not see it",
                self.what
            )),
            code if !code.is_success() => fails(format!("Datadog refused the query (HTTP {status}){told}")),
            _ => {
                let body = reply.json()?;
                // The metrics' endpoint says errors in an HTTP 200.
                if body.get("status").and_then(Value::as_str) == Some("error") {
                    return fails(format!("Datadog refused the query (HTTP {status}){told}"));
                }
                let used_up = reply.header("x-ratelimit-remaining").map(str::trim) == Some("0");
                let pause = reset(reply).filter(|_| used_up);
                Ok(Answer { body, pause })
            }
        }
    }
}

fn key(text: &str) -> Result<HeaderValue, Failed> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failed::Final(ActionError::action("Datadog: a key cannot stand in a header")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `error`, `errors: ["…"]`, or `errors: [{title, detail}]`: what the three generations of the API say.
fn errors(body: &Value) -> String {
    let one = |error: &Value| {
        let text = error.as_str().map(str::to_owned);
        text.or_else(|| text_of(error, "detail"))
            .or_else(|| text_of(error, "title"))
    };
    let list = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let mut texts: Vec<String> = list.filter_map(one).take(3).collect();
    texts.extend(text_of(body, "error"));
    said(&texts.join("; "))
}

fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

/// `X-RateLimit-Reset`: seconds to the end of the period.
fn reset(reply: &Reply) -> Option<Duration> {
    let header = |name: &str| reply.header(name)?.trim().parse().ok();
    header("x-ratelimit-reset")
        .or_else(|| header("retry-after"))
        .map(wait_of)
}
