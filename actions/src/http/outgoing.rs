//! From parameters to a request: what is a URL, a header and a body, and what is none.

use std::collections::BTreeMap;

use node::egress::guarded::Outgoing;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::request::Params;
use crate::{ActionContext, ActionError};

/// Headers that are the client's own, or that would put a secret into the plan.
const NOT_GIVEN: [(&str, &str); 9] = [
    ("authorization", SECRET),
    ("proxy-authorization", SECRET),
    ("cookie", SECRET),
    ("host", OURS),
    ("content-length", OURS),
    ("transfer-encoding", OURS),
    ("connection", OURS),
    ("accept-encoding", OURS),
    ("idempotency-key", OURS),
];
const SECRET: &str =
    "a secret has no place in a workflow: name a connection, which the agent's operator sets up";
const OURS: &str = "it is set by the agent itself";

/// The methods that a step may name.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PUT,
    Method::DELETE,
    Method::POST,
    Method::PATCH,
];

fn wrong(what: &str, why: impl std::fmt::Display) -> ActionError {
    ActionError::action(format!("http/request: {what}: {why}"))
}

pub(super) fn method(name: &str) -> Result<Method, ActionError> {
    METHODS
        .into_iter()
        .find(|method| method.as_str() == name)
        .ok_or_else(|| {
            wrong(
                "method",
                "expected GET, HEAD, OPTIONS, PUT, DELETE, POST or PATCH",
            )
        })
}

/// The request, with what the connection adds.
pub(super) fn outgoing(context: &ActionContext, params: &Params) -> Result<Outgoing, ActionError> {
    let method = method(&params.method)?;
    let (base, secret, chosen) = place(context, params)?;
    let url = url(base, &params.path, &params.query)?;
    let mut headers = headers(&params.headers)?;
    let body = body(params, &mut headers)?;
    if !method.is_idempotent() {
        let key = HeaderValue::from_str(&idempotency_key(context));
        let key = key.map_err(|_| ActionError::internal("the idempotency key is no header"))?;
        headers.insert("idempotency-key", key);
    }
    headers.extend(secret);
    Ok(Outgoing {
        method,
        url,
        headers,
        body,
        chosen,
    })
}

type Place = (Url, Option<(HeaderName, HeaderValue)>, bool);

fn place(context: &ActionContext, params: &Params) -> Result<Place, ActionError> {
    match (&params.connection, &params.url) {
        (Some(name), None) => {
            let connection = context.connections.http.named.get(name).ok_or_else(|| {
                ActionError::new(
                    types::FailureKind::Refused,
                    format!(
                        "this agent holds no HTTP connection {name:?}: its operator gives `--http {name}=URL`"
                    ),
                )
            })?;
            Ok((connection.base.clone(), connection.header.clone(), true))
        }
        (None, Some(url)) => {
            let url = Url::parse(url.trim()).map_err(|error| wrong("url", error))?;
            Ok((url, None, false))
        }
        (Some(_), Some(_)) => Err(wrong(
            "connection",
            "it has its own URL: give `path` instead of `url`",
        )),
        (None, None) => Err(wrong("url", "give `url`, or `connection` and `path`")),
    }
}

/// Each segment of the path and each value of the query is data: nothing in it ends it.
fn url(mut url: Url, path: &[String], query: &BTreeMap<String, String>) -> Result<Url, ActionError> {
    // The URL's own parser takes these for steps in the tree, encoded or not.
    let dots = |segment: &String| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if let Some(at) = path
        .iter()
        .position(|segment| segment.is_empty() || dots(segment))
    {
        return Err(wrong(
            &format!("path[{at}]"),
            "a segment is not empty, `.` or `..`",
        ));
    }
    if !path.is_empty() {
        url.path_segments_mut()
            .map_err(|()| wrong("url", "it has no path"))?
            .pop_if_empty()
            .extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, ActionError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let what = format!("header {name:?}");
        if let Some((_, why)) = NOT_GIVEN.iter().find(|(not, _)| name.eq_ignore_ascii_case(not)) {
            return Err(wrong(&what, why));
        }
        let name: HeaderName = name.parse().map_err(|error| wrong(&what, error))?;
        let value = HeaderValue::from_str(value).map_err(|error| wrong(&what, error))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn body(params: &Params, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, ActionError> {
    let (kind, bytes) = match (&params.json, &params.form, &params.body) {
        (None, None, None) => return Ok(None),
        (Some(json), None, None) => ("application/json", json.to_string()),
        (None, Some(form), None) => ("application/x-www-form-urlencoded", encoded(form)),
        (None, None, Some(text)) => ("text/plain; charset=utf-8", text.clone()),
        _ => return Err(wrong("body", "give one of `json`, `form` and `body`")),
    };
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static(kind));
    Ok(Some(bytes.into_bytes()))
}

fn encoded(form: &BTreeMap<String, String>) -> String {
    let url = Url::parse_with_params("http://form/", form).ok();
    url.and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

/// The same for every try of a step, and of no other: a server that keeps it carries the request out once.
fn idempotency_key(context: &ActionContext) -> String {
    let index = context.index.map(|index| format!(".{index}")).unwrap_or_default();
    format!("{}.{}{index}", context.run, context.step)
}
