//! `GET /loki/api/v1/query_range`: lines or series, and errors in plain text.

use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    ActionContext, ActionError,
    prometheus::series::{self, Data, Series},
    tries::{Failed, tries},
    upstream::Upstream,
    vendor::{self, Reply, said},
};

const TRIES: u32 = 4;

/// One line: Unix nanoseconds, its stream's labels, the line itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) at_ns: i64,
    pub(crate) labels: Value,
    pub(crate) text: String,
}

/// What came back.
pub(crate) enum Found {
    /// Newest first.
    Lines(Vec<Line>),
    Series(Vec<Series>),
}

/// With the warnings that came along.
pub(crate) type Answer = (Found, Vec<String>);

pub(crate) async fn query_range(
    context: &ActionContext,
    upstream: &Upstream,
    query: &[(&str, String)],
) -> Result<Answer, ActionError> {
    let word = |(found, _): &Answer| match found {
        Found::Lines(lines) => format!("{} lines", lines.len()),
        Found::Series(series) => format!("{} series", series.len()),
    };
    let once = || async {
        let request = upstream
            .http
            .get(format!("{}/loki/api/v1/query_range", upstream.base))
            .headers(upstream.headers.clone())
            .query(query);
        answer(context, &vendor::fetch("Loki", request).await?)
    };
    tries(context, "loki query", TRIES, word, once).await
}

fn answer(context: &ActionContext, reply: &Reply) -> Result<Answer, Failed> {
    let status = reply.status.as_u16();
    let told = said(&String::from_utf8_lossy(&reply.body));
    let fails = |why: String| Err(Failed::Final(ActionError::action(why)));
    match reply.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return fails(format!(
                "Loki refused us (HTTP {status}){told}: check LOKI_BEARER_TOKEN, or LOKI_USERNAME and LOKI_PASSWORD, and \
                 LOKI_ORG_ID on the agent"
            ));
        }
        StatusCode::NOT_FOUND => {
            return fails("Loki: HTTP 404: nothing answers queries below LOKI_ADDR".to_owned());
        }
        status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
            return fails(format!("Loki refused the query (HTTP {}){told}", status.as_u16()));
        }
        _ => {}
    }
    if let Some(trouble) = reply.trouble(context, &told) {
        return Err(trouble);
    }
    let body = reply.json()?;
    let found = body.get("data").and_then(found);
    match found {
        Some(found) if reply.status.is_success() => {
            let warnings = body
                .get("warnings")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let warnings = warnings.filter_map(Value::as_str);
            let warnings = warnings.map(|text| types::text::line(text).chars().take(300).collect());
            Ok((found, warnings.collect()))
        }
        _ => fails(format!(
            "Loki: HTTP {status} with an answer that has not the documented form"
        )),
    }
}

fn found(data: &Value) -> Option<Found> {
    if data.get("resultType")?.as_str()? != "streams" {
        return match series::read(data)? {
            Data::Series(series) => Some(Found::Series(series)),
            Data::Text(_) => None,
        };
    }
    let mut lines = Vec::new();
    for stream in data.get("result")?.as_array()? {
        let labels = stream.get("stream")?;
        labels.as_object()?;
        for value in stream.get("values")?.as_array()? {
            lines.push(Line {
                at_ns: value.get(0)?.as_str()?.parse().ok()?,
                labels: labels.clone(),
                text: value.get(1)?.as_str()?.to_owned(),
            });
        }
    }
    // Each stream is in order, and they are told as one.
    lines.sort_by_key(|line| std::cmp::Reverse(line.at_ns));
    Some(Found::Lines(lines))
}
