//! A call's arguments, whichever of Slack's three encodings brought them: query, form or JSON.

use std::borrow::Cow;

use axum::{
    extract::{Form, FromRequest, Query},
    http::{HeaderMap, HeaderValue, Method as Verb, Request, Uri, header},
};
use serde_json::{Map, Value};

use super::errors::{Code, Failure, missing};

/// Arguments by name. A form brings strings only; JSON brings any value.
#[derive(Debug, Default)]
pub(crate) struct Args(Map<String, Value>);

/// What decoding a call yields beside its arguments.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) args: Args,
    /// The form field `token`, taken out so that nothing can log it with the arguments.
    pub(crate) token: Option<String>,
    /// Slack's hint about the content type: not an error.
    pub(crate) warning: Option<&'static str>,
}

impl Args {
    /// The argument as text; an empty one counts as absent, as Slack has it.
    pub(crate) fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        match self.0.get(key)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Null => None,
            other => Some(Cow::Owned(other.to_string())),
        }
    }

    /// The argument as text, or the error that names it.
    pub(crate) fn required(&self, key: &str) -> Result<Cow<'_, str>, Failure> {
        self.text(key).ok_or_else(|| missing(key))
    }

    /// True when the argument says so: `true`, `"true"`, `1` or `"1"`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.text(key)
            .is_some_and(|text| matches!(text.as_ref(), "true" | "1"))
    }

    /// Like [`Args::flag`], with a default for an absent argument.
    pub(crate) fn flag_or(&self, key: &str, default: bool) -> bool {
        if self.text(key).is_some() {
            self.flag(key)
        } else {
            default
        }
    }

    /// A structured argument: a JSON value, or a string that holds one.
    ///
    /// # Errors
    /// The parser's words, when a string holds no JSON.
    pub(crate) fn json(&self, key: &str) -> Result<Option<Cow<'_, Value>>, String> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(|value| Some(Cow::Owned(value)))
                .map_err(|error| error.to_string()),
            Some(other) => Ok(Some(Cow::Borrowed(other))),
        }
    }
}

/// Reads the arguments of one call.
///
/// # Errors
/// `invalid_post_type`, `missing_post_type`, `invalid_json` or `json_not_object`, as Slack answers them.
pub(crate) async fn decode(
    verb: &Verb,
    uri: &Uri,
    headers: &HeaderMap,
    body: axum::body::Bytes,
    json_allowed: bool,
) -> Result<Decoded, Failure> {
    let mut decoded = Decoded::default();
    if let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) {
        // A token in the query is no token (refused since 2021, as it ends up in logs): just dropped.
        let kept = pairs.into_iter().filter(|(key, _)| key != "token");
        decoded
            .args
            .0
            .extend(kept.map(|(key, value)| (key, Value::String(value))));
    }
    if verb != Verb::POST || body.is_empty() {
        return Ok(decoded);
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let Some(content_type) = content_type else {
        return Err(Code::MissingPostType.into());
    };
    let (essence, charset) = match content_type.split_once(';') {
        Some((essence, rest)) => (essence.trim(), rest.to_ascii_lowercase().contains("charset")),
        None => (content_type.trim(), false),
    };
    match essence.to_ascii_lowercase().as_str() {
        "application/json" if json_allowed => {
            decoded.warning = (!charset).then_some("missing_charset");
            match serde_json::from_slice(&body) {
                Ok(Value::Object(map)) => decoded.args.0.extend(map),
                Ok(_) => return Err(Code::JsonNotObject.into()),
                Err(_) => return Err(Code::InvalidJson.into()),
            }
        }
        "application/x-www-form-urlencoded" => {
            decoded.warning = charset.then_some("superfluous_charset");
            let pairs = form_pairs(body).await?;
            for (key, value) in pairs {
                if key == "token" {
                    decoded.token = Some(value);
                } else {
                    decoded.args.0.insert(key, Value::String(value));
                }
            }
        }
        _ => return Err(wrong_type(json_allowed)),
    }
    Ok(decoded)
}

async fn form_pairs(body: axum::body::Bytes) -> Result<Vec<(String, String)>, Failure> {
    let mut request = Request::new(axum::body::Body::from(body));
    *request.method_mut() = Verb::POST;
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, form);
    match Form::from_request(request, &()).await {
        Ok(Form(pairs)) => Ok(pairs),
        Err(_) => Err(Code::InvalidArguments.into()),
    }
}

fn wrong_type(json_allowed: bool) -> Failure {
    let accepted = if json_allowed {
        "application/json, application/x-www-form-urlencoded"
    } else {
        "application/x-www-form-urlencoded (this method takes no JSON)"
    };
    Failure::from(Code::InvalidPostType).saying(&[format!("[ERROR] accepted content types: {accepted}")])
}
