//! The searches of API v2 (logs, events): a query with an outsider's values, and pages by cursor.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::Datadog;
use crate::{ActionError, tries};

/// Items of one page: the API gives up to 1,000, and a page of those is a few megabytes.
const PAGE: usize = 200;
/// Pages that are read.
const PAGES: usize = 20;
/// Characters of a query, and of one value.
const QUERY: usize = 4_000;
const VALUE: usize = 500;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Newest first, at most as many as were asked for.
    pub(crate) items: Vec<Value>,
    /// Whether there are more.
    pub(crate) more: bool,
    /// Why what was found is not all.
    pub(crate) degraded: Vec<String>,
}

/// The author's query, and an outsider's values behind it: `service:checkout host:"web-1"`.
///
/// # Errors
/// A key that is none, or what is too long; in words.
pub(crate) fn query(text: &str, tags: &BTreeMap<String, String>) -> Result<String, String> {
    let mut query = text.trim().to_owned();
    for (key, value) in tags {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
        if !key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '@')
            || key.len() > 100
            || !key.chars().all(fits)
        {
            return Err(format!("tags: {key:?} is no tag's key or attribute"));
        }
        if value.is_empty() || value.chars().count() > VALUE {
            return Err(format!(
                "tags: the value of {key} is empty or longer than {VALUE} characters"
            ));
        }
        if !query.is_empty() {
            query.push(' ');
        }
        query.push_str(&format!("{key}:\"{}\"", quoted(value)));
    }
    if query.chars().count() > QUERY {
        return Err(format!("the query is longer than {QUERY} characters"));
    }
    Ok(query)
}

/// Nothing in it ends the quotes that it stands in; control characters are in no tag.
fn quoted(value: &str) -> String {
    let value = types::text::line(value);
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Reads pages until there are `limit` items, or no more.
pub(crate) async fn search(
    datadog: &Datadog<'_>,
    path: &str,
    filter: &Value,
    limit: usize,
) -> Result<Found, ActionError> {
    let mut found = Found::default();
    let mut cursor: Option<String> = None;
    let mut partial = false;
    for page in 0..PAGES {
        let size = PAGE.min(limit - found.items.len());
        let mut body = json!({"filter": filter, "sort": "-timestamp", "page": {"limit": size}});
        if let Some(cursor) = &cursor {
            body["page"]["cursor"] = json!(cursor);
        }
        let answer = match datadog.search(path, &body).await {
            Ok(answer) => answer,
            // What is there already is told, and that it is not all.
            Err(error) if page > 0 => {
                found.more = true;
                found
                    .degraded
                    .push(format!("only the first {} were read: {error}", found.items.len()));
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        partial |= notes(&answer.body, &mut found.degraded);
        let items = answer.body.get("data").and_then(Value::as_array);
        let items = items.ok_or_else(|| ActionError::action("Datadog: an answer without `data`"))?;
        let room = limit - found.items.len();
        found.items.extend(items.iter().take(room).cloned());
        let next = answer.body.pointer("/meta/page/after").and_then(Value::as_str);
        let next = next.filter(|next| !next.is_empty()).map(str::to_owned);
        found.more = next.is_some() || partial;
        if next.is_none() || found.items.len() >= limit {
            return Ok(found);
        }
        if next == cursor {
            found
                .degraded
                .push("Datadog gave the same page twice: what follows was not read".to_owned());
            return Ok(found);
        }
        cursor = next;
        if let Some(pause) = answer.pause
            && !tries::pause(datadog.context, pause).await
        {
            found.degraded.push(format!(
                "only the first {} were read: Datadog limits us",
                found.items.len()
            ));
            return Ok(found);
        }
    }
    found.degraded.push(format!(
        "only the first {} were read: there are more than {PAGES} pages",
        found.items.len()
    ));
    Ok(found)
}

/// `meta.status` and `meta.warnings`: a search that ran out of time is told with what it has; whether it did.
fn notes(body: &Value, degraded: &mut Vec<String>) -> bool {
    let ran_out = body.pointer("/meta/status").and_then(Value::as_str) == Some("timeout");
    if ran_out {
        degraded.push("Datadog's search ran out of time: what was found is not all".to_owned());
    }
    let warnings = body.pointer("/meta/warnings").and_then(Value::as_array);
    for warning in warnings.into_iter().flatten() {
        let text = |key: &str| warning.get(key).and_then(Value::as_str);
        let text = text("detail")
            .or_else(|| text("title"))
            .unwrap_or("without a text");
        let text: String = types::text::line(text).chars().take(300).collect();
        degraded.push(format!("Datadog warns: {text}"));
    }
    ran_out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_value_stays_within_its_quotes() {
        let of = |text: &str, key: &str, value: &str| {
            query(text, &BTreeMap::from([(key.to_owned(), value.to_owned())]))
        };
        assert_eq!(
            of("status:error", "@http.host", "a\" OR service:\"x\\\n").unwrap(),
            r#"status:error @http.host:"a\" OR service:\"x\\ ""#
        );
        assert_eq!(of("", "host", "web-1").unwrap(), r#"host:"web-1""#);
        for (key, value) in [
            ("a b", "x"),
            ("-host", "x"),
            ("host:x OR y", "x"),
            ("", "x"),
            ("host", ""),
        ] {
            assert!(of("", key, value).is_err(), "{key}");
        }
        assert!(of("", "host", &"x".repeat(501)).is_err());
    }
}
