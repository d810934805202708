//! One call of the REST API: its headers, its paging, what its refusals mean.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use types::{FailureKind, Param, Trust, Type};

use super::PagerDutyConnection;
use crate::{
    ActionContext, ActionError,
    args::required,
    rest::{self, Answer, Repeat, Rest, RestError},
};

const VENDOR: &str = "PagerDuty";
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Of one page; PagerDuty gives no more.
const PAGE: usize = 100;
/// Pages that are read.
const PAGES: usize = 20;

/// PagerDuty for one attempt.
pub(super) struct PagerDuty<'a> {
    connection: &'a PagerDutyConnection,
    rest: Rest<'a>,
}

/// A list, and whether its end was reached.
pub(super) struct Listed {
    pub(super) items: Vec<Value>,
    pub(super) whole: bool,
}

/// Why a call gave nothing.
pub(super) enum Refused {
    /// No usable answer.
    Rest(RestError),
    /// PagerDuty said no, or something odd.
    Final(ActionError),
}

impl From<Refused> for ActionError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rest(error) => error.failure(VENDOR),
            Refused::Final(error) => error,
        }
    }
}

impl<'a> PagerDuty<'a> {
    /// The agent's connection.
    pub(super) fn of(context: &'a ActionContext) -> Result<Self, ActionError> {
        let connection = context.connections.pagerduty.as_ref();
        let connection = connection.ok_or_else(|| {
            let message = "this agent holds no PagerDuty connection: set PAGERDUTY_TOKEN for it";
            ActionError::new(FailureKind::Refused, message)
        })?;
        let rest = Rest {
            vendor: VENDOR,
            context,
            answer_bytes: ANSWER_BYTES,
        };
        Ok(Self { connection, rest })
    }

    pub(super) async fn pause(&self, doubts: u32) -> bool {
        self.rest.pause(doubts).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.connection
            .http
            .request(method, format!("{}{path}", self.connection.base))
            .header(
                "authorization",
                rest::secret("Token token=", &self.connection.token),
            )
            .header("accept", "application/vnd.pagerduty+json;version=2")
    }

    /// One object.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Refused> {
        let request = || self.request(Method::GET, path);
        let answer = self.rest.call(path, Repeat::Safe, request).await;
        judged(answer.map_err(Refused::Rest)?)
    }

    /// All pages of a list by its name, with `limit`, `offset` and `more`.
    pub(super) async fn list(
        &self,
        path: &str,
        name: &str,
        query: &[(&str, String)],
    ) -> Result<Listed, Refused> {
        let mut items = Vec::new();
        for page in 0..PAGES {
            let place = [("limit", PAGE.to_string()), ("offset", (page * PAGE).to_string())];
            let request = || self.request(Method::GET, path).query(query).query(&place);
            let answer = self.rest.call(path, Repeat::Safe, request).await;
            let body = judged(answer.map_err(Refused::Rest)?)?;
            let found = body.get(name).and_then(Value::as_array);
            items.extend(found.into_iter().flatten().cloned());
            if body.get("more").and_then(Value::as_bool) != Some(true) {
                return Ok(Listed { items, whole: true });
            }
        }
        Ok(Listed { items, whole: false })
    }

    /// Writes in the name of `PAGERDUTY_FROM`; the caller looks first.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        let Some(from) = &self.connection.from else {
            return Err(Refused::Final(ActionError::new(
                FailureKind::Refused,
                "PagerDuty wants a user in whose name this is written: set PAGERDUTY_FROM on the agent to that user's e-mail address",
            )));
        };
        let request = || self.request(Method::POST, path).header("from", from).json(body);
        let answer = self.rest.call(path, Repeat::LookFirst, request).await;
        judged(answer.map_err(Refused::Rest)?)
    }
}

/// What a status means.
fn judged(answer: Answer) -> Result<Value, Refused> {
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    let text = |path: &str| answer.body.pointer(path).and_then(Value::as_str);
    let details = answer.body.pointer("/error/errors").and_then(Value::as_array);
    let details: Vec<&str> = details.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut said = rest::said(text("/error/message").unwrap_or("no reason given"));
    if !details.is_empty() {
        said = format!("{said}: {}", rest::said(&details.join("; ")));
    }
    let hint = match answer.status {
        StatusCode::UNAUTHORIZED => "check PAGERDUTY_TOKEN on the agent",
        StatusCode::PAYMENT_REQUIRED => "the account's plan does not have this",
        StatusCode::FORBIDDEN => "the key may not do this: a key that reads only cannot write",
        StatusCode::NOT_FOUND => "there is no such thing",
        _ => "refused",
    };
    Err(Refused::Final(ActionError::action(format!(
        "PagerDuty: {hint} (HTTP {}: {said})",
        answer.status.as_u16()
    ))))
}

/// The parameter of an incident.
pub(super) fn incident_param(takes: Trust) -> Param {
    required(Type::String, takes, "PagerDuty's id of the incident: `PT4KHLK`.")
}

/// An id as PagerDuty makes them: it stands in a path.
pub(super) fn id(text: &str) -> Result<String, ActionError> {
    let id = text.trim().to_ascii_uppercase();
    let plain = !id.is_empty() && id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain {
        Ok(id)
    } else {
        Err(ActionError::action(
            "expected one of PagerDuty's ids, such as PT4KHLK",
        ))
    }
}

/// A plain e-mail address, which is nothing else to anybody.
pub(super) fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
    let Some((user, domain)) = text.split_once('@') else {
        return false;
    };
    text.len() <= 254
        && !user.is_empty()
        && user.chars().all(plain)
        && domain.contains('.')
        && domain
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
}
