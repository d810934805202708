//! Bytes → one JSON object.

use serde_json::{Map, Value, error::Category};

use crate::{RefusalKind, Refused};

/// JSON types only: a browser cannot post these across sites without asking first, and Datadog's
/// "encode as form" would bring another body.
pub(super) fn accept(content_type: Option<&str>) -> Result<(), Refused> {
    let Some(content_type) = content_type.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if matches!(essence.as_str(), "application/json" | "text/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
    {
        return Ok(());
    }
    let shown: String = essence.chars().filter(|c| !c.is_control()).take(80).collect();
    let hint = if essence == "application/x-www-form-urlencoded" {
        " (in Datadog's webhook, turn \"Encode as form\" off; with curl, add -H 'Content-Type: application/json')"
    } else {
        ""
    };
    Err(Refused::new(
        RefusalKind::ContentType,
        format!("Content-Type: expected application/json, found {shown:?}{hint}"),
    ))
}

/// The object, also when the whole body is a JSON string that holds the object's JSON.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Refused> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Refused::new(
            RefusalKind::Empty,
            "the body is empty: expected a JSON object",
        ));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        Refused::new(
            RefusalKind::NotUtf8,
            format!(
                "the body is not UTF-8: the first bad byte is at {}",
                error.valid_up_to()
            ),
        )
    })?;
    let value = match parse(text)? {
        Value::String(inner) => parse(&inner)?,
        value => value,
    };
    match value {
        Value::Object(object) => Ok(object),
        other => Err(Refused::field(
            "the body",
            "a JSON object",
            super::fields::kind(&other),
        )),
    }
}

fn parse(text: &str) -> Result<Value, Refused> {
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        // serde_json names its recursion limit (128) only in its text.
        let said = error.to_string();
        if said.starts_with("recursion limit") {
            return Refused::new(
                RefusalKind::TooDeep,
                format!("the JSON is nested deeper than 128 levels ({place})"),
            );
        }
        let what = match error.classify() {
            Category::Eof => "the JSON ends too early",
            _ => "the body is not JSON",
        };
        Refused::new(
            RefusalKind::NotJson,
            format!(
                "{what} ({place}): {}",
                said.split(" at line ").next().unwrap_or_default()
            ),
        )
    })
}
