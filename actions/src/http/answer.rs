//! From an answer to outputs.

use node::egress::guarded::Answer;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use super::request::place;
use crate::{ActionError, ActionOutput, args};

/// The headers that are given on; cookies are not among them.
const GIVEN: [&str; 16] = [
    "age",
    "allow",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "ratelimit",
    "retry-after",
    "server",
    "x-correlation-id",
    "x-request-id",
];
/// Characters of one header's value.
const VALUE: usize = 1_000;
/// Characters of a body that stand in an error.
const SAID: usize = 200;

pub(super) fn output(answer: Answer) -> Result<ActionOutput, ActionError> {
    let mut degraded = Vec::new();
    if answer.truncated {
        degraded.push(format!(
            "the answer is longer than {} bytes, and the rest was cut off",
            answer.body.len()
        ));
    }
    let (json, text) = body(&answer, &mut degraded);
    Ok(args::output(
        [
            ("status", json!(answer.status.as_u16())),
            ("headers", args::json(&headers(&answer.headers))?),
            ("json", json.unwrap_or_default()),
            ("text", text.map(Value::from).unwrap_or_default()),
            ("truncated", json!(answer.truncated)),
            ("url", json!(place(&answer.url))),
        ],
        degraded,
    ))
}

/// As JSON, or as text.
fn body(answer: &Answer, degraded: &mut Vec<String>) -> (Option<Value>, Option<String>) {
    if answer.body.is_empty() {
        return (None, None);
    }
    if is_json(&answer.headers) && !answer.truncated {
        match serde_json::from_slice(&answer.body) {
            Ok(value) => return (Some(value), None),
            Err(error) => degraded.push(format!("the answer says that it is JSON, and is none: {error}")),
        }
    }
    let text = match std::str::from_utf8(&answer.body) {
        Ok(text) => text.to_owned(),
        // Cut off within a character, which is said already.
        Err(error) if error.error_len().is_none() && answer.truncated => {
            String::from_utf8_lossy(&answer.body[..error.valid_up_to()]).into_owned()
        }
        Err(error) => {
            degraded.push(format!(
                "the answer is not UTF-8 from byte {} on: what is not is shown as U+FFFD",
                error.valid_up_to()
            ));
            String::from_utf8_lossy(&answer.body).into_owned()
        }
    };
    (None, Some(text))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|value| value.split(';').next()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn headers(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    let given = |name: &str| {
        GIVEN.contains(&name) || name.starts_with("x-ratelimit-") || name.starts_with("ratelimit-")
    };
    headers
        .iter()
        .filter(|(name, _)| given(name.as_str()))
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), text.chars().take(VALUE).collect())
        })
        .collect()
}

/// The beginning of a body, for an error.
pub(super) fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SAID * 4)]);
    let line = types::text::line(text.trim());
    match line.chars().take(SAID).collect::<String>() {
        said if said.is_empty() => String::new(),
        said => format!(": {said}"),
    }
}
