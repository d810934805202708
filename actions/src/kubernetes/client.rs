//! One read of the API: its lists by pages, what its refusals mean, and names that may stand in a path.

use reqwest::StatusCode;
use serde_json::Value;
use types::{FailureKind, Param, Trust, Type};

use super::KubernetesConnection;
use crate::{
    ActionContext, ActionError,
    args::required,
    rest::{self, Answer, Repeat, Rest},
};

const VENDOR: &str = "Kubernetes";
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Of one page.
const PAGE: &str = "250";
/// Pages that are read.
const PAGES: usize = 40;
/// How often a list that has expired under us is begun again.
const RESTARTS: u32 = 2;

/// A cluster for one attempt.
pub(super) struct Cluster<'a> {
    connection: &'a KubernetesConnection,
    rest: Rest<'a>,
}

/// A list, and why it is not whole.
pub(super) struct Listed {
    pub(super) items: Vec<Value>,
    pub(super) lacking: Option<String>,
}

impl<'a> Cluster<'a> {
    /// The agent's connection.
    pub(super) fn of(context: &'a ActionContext) -> Result<Self, ActionError> {
        let connection = context.connections.kubernetes.as_ref();
        let connection = connection.ok_or_else(|| {
            let message = "this agent holds no Kubernetes connection: set KUBERNETES_API_URL for it";
            ActionError::new(FailureKind::Refused, message)
        })?;
        let rest = Rest {
            vendor: VENDOR,
            context,
            answer_bytes: ANSWER_BYTES,
        };
        Ok(Self { connection, rest })
    }

    /// One object.
    pub(super) async fn get(&self, path: &str) -> Result<Value, ActionError> {
        let answer = self.ask(path, &[]).await?;
        match answer.status.is_success() {
            true => Ok(answer.body),
            false => Err(refused(&answer)),
        }
    }

    /// A list with `limit` and `continue`. One that has expired (410) is begun again; what cannot be read to its end is
    /// told.
    pub(super) async fn list(&self, path: &str, selector: &str) -> Result<Listed, ActionError> {
        let mut restarts = 0;
        'begin: loop {
            let mut items: Vec<Value> = Vec::new();
            let mut next = String::new();
            for _ in 0..PAGES {
                let mut query = vec![("limit", PAGE), ("fieldSelector", selector)];
                if !next.is_empty() {
                    query.push(("continue", &next));
                }
                let answer = self.ask(path, &query).await?;
                if answer.status == StatusCode::GONE {
                    if restarts < RESTARTS {
                        restarts += 1;
                        continue 'begin;
                    }
                    let lacking = format!(
                        "the list expired {} times while it was read: only its first {} entries are known",
                        restarts + 1,
                        items.len()
                    );
                    return Ok(Listed {
                        items,
                        lacking: Some(lacking),
                    });
                }
                if !answer.status.is_success() {
                    return Err(refused(&answer));
                }
                let page = answer.body.get("items").and_then(Value::as_array);
                let page =
                    page.ok_or_else(|| ActionError::action(format!("{VENDOR}: a list without `items`")))?;
                items.extend(page.iter().cloned());
                match answer.body.pointer("/metadata/continue").and_then(Value::as_str) {
                    Some(token) if !token.is_empty() => token.clone_into(&mut next),
                    _ => return Ok(Listed { items, lacking: None }),
                }
            }
            let lacking = Some(format!("only the first {} entries were read", items.len()));
            return Ok(Listed { items, lacking });
        }
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, ActionError> {
        let token = self.connection.bearer();
        let token = token.map_err(|what| ActionError::action(format!("{VENDOR}: the token: {what}")))?;
        let request = || {
            self.connection
                .http
                .get(format!("{}{path}", self.connection.base))
                .query(query)
                .header("authorization", rest::secret("Bearer ", &token))
                .header("accept", "application/json")
        };
        let answer = self.rest.call(path, Repeat::Safe, request).await;
        answer.map_err(|error| error.failure(VENDOR))
    }
}

/// What a refusal means. The server's own words name the account and the right.
fn refused(answer: &Answer) -> ActionError {
    let said = answer.body.get("message").and_then(Value::as_str);
    let said = rest::said(said.unwrap_or("no reason given"));
    let hint = match answer.status {
        StatusCode::UNAUTHORIZED => {
            "the token is refused: check the agent's KUBERNETES_TOKEN or service account"
        }
        StatusCode::FORBIDDEN => "a right is missing: give it to that account by a Role and a RoleBinding",
        StatusCode::NOT_FOUND => "there is no such thing",
        _ => "refused",
    };
    let status = answer.status.as_u16();
    ActionError::action(format!("{VENDOR}: {hint} (HTTP {status}: {said})"))
}

/// The parameter of a namespace.
pub(super) fn namespace_param() -> Param {
    required(Type::String, Trust::Trusted, "The namespace.")
}

/// A namespace: an RFC 1123 label, of at most 63 characters.
pub(super) fn namespace(text: &str) -> Result<&str, ActionError> {
    if text.len() <= 63 && is_label(text) {
        Ok(text)
    } else {
        Err(ActionError::action(
            "namespace: expected lower-case letters, digits and hyphens, such as payments-prod",
        ))
    }
}

/// An object's name: an RFC 1123 subdomain, of at most 253 characters.
pub(super) fn name(text: &str) -> Result<&str, ActionError> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text)
    } else {
        Err(ActionError::action(
            "name: expected lower-case letters, digits, hyphens and dots, such as checkout-7d4f9",
        ))
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_place_in_a_path() {
        for text in ["..", "a/b", "a?b", "A", "-a", "a-", "", "a b", "a%2fb", "a,b=c"] {
            assert!(namespace(text).is_err() && name(text).is_err(), "{text:?}");
        }
        assert!(namespace("payments-prod").is_ok() && name("checkout.v1").is_ok());
        assert!(namespace("a.b").is_err() && namespace(&"a".repeat(64)).is_err());
    }
}
