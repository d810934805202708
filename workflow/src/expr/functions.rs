//! The functions of the language: names, arguments, and the plain ones' work.

use std::ops::RangeInclusive;

use types::Value;

use super::{
    ops,
    run::{Fault, Result},
};
use crate::code::Code;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Default,
    Succeeded,
    Degraded,
    Failed,
    Always,
    Cancelled,
    Slug,
    OneOf,
    AgentHost,
    Size,
    Join,
    Text,
    Int,
    Float,
    StartsWith,
    EndsWith,
    Contains,
    LowerAscii,
    UpperAscii,
    Trim,
    Replace,
    Split,
}

/// Name, function, whether it is a function and a method, its arguments (a method's target is one), usage.
const TABLE: [(&str, Function, bool, bool, usize, &str); 23] = {
    use Function as F;
    [
        (
            "default",
            F::Default,
            true,
            false,
            2,
            "default(x, y) takes two values",
        ),
        (
            "succeeded",
            F::Succeeded,
            true,
            false,
            0,
            "succeeded() takes nothing",
        ),
        (
            "degraded",
            F::Degraded,
            true,
            false,
            0,
            "degraded() takes nothing",
        ),
        ("failed", F::Failed, true, false, 0, "failed() takes nothing"),
        ("always", F::Always, true, false, 0, "always() takes nothing"),
        (
            "cancelled",
            F::Cancelled,
            true,
            false,
            0,
            "cancelled() takes nothing",
        ),
        ("slug", F::Slug, true, false, 1, "slug(text) takes one text"),
        (
            "one_of",
            F::OneOf,
            true,
            false,
            2,
            "one_of(x, [a, b]) takes a value and a list",
        ),
        (
            "agent_host",
            F::AgentHost,
            true,
            false,
            1,
            "agent_host(text) takes one text",
        ),
        (
            "size",
            F::Size,
            true,
            true,
            1,
            "size(x) takes one text, list or map",
        ),
        (
            "join",
            F::Join,
            true,
            true,
            2,
            "join(list, separator) takes a list and a text",
        ),
        ("string", F::Text, true, false, 1, "string(x) takes one value"),
        ("int", F::Int, true, false, 1, "int(x) takes one value"),
        ("double", F::Float, true, false, 1, "double(x) takes one value"),
        ("float", F::Float, true, false, 1, "float(x) takes one value"),
        (
            "startsWith",
            F::StartsWith,
            false,
            true,
            2,
            "text.startsWith(start) takes one text",
        ),
        (
            "endsWith",
            F::EndsWith,
            false,
            true,
            2,
            "text.endsWith(end) takes one text",
        ),
        (
            "contains",
            F::Contains,
            false,
            true,
            2,
            "text.contains(part) takes one text",
        ),
        (
            "lowerAscii",
            F::LowerAscii,
            false,
            true,
            1,
            "text.lowerAscii() takes nothing",
        ),
        (
            "upperAscii",
            F::UpperAscii,
            false,
            true,
            1,
            "text.upperAscii() takes nothing",
        ),
        ("trim", F::Trim, false, true, 1, "text.trim() takes nothing"),
        (
            "replace",
            F::Replace,
            false,
            true,
            3,
            "text.replace(old, new) takes two texts",
        ),
        (
            "split",
            F::Split,
            false,
            true,
            2,
            "text.split(separator) takes one text",
        ),
    ]
};

impl Function {
    pub(crate) fn global(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.0 == name && row.2).map(|row| row.1)
    }

    pub(crate) fn method(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.0 == name && row.3).map(|row| row.1)
    }

    /// The known names, for messages.
    pub(crate) fn names(method: bool) -> Vec<&'static str> {
        let of_table = TABLE
            .iter()
            .filter(move |row| if method { row.3 } else { row.2 })
            .map(|row| row.0);
        let of_syntax: &[&str] = if method {
            &["all", "exists", "filter", "map"]
        } else {
            &["has"]
        };
        of_table.chain(of_syntax.iter().copied()).collect()
    }

    pub(crate) fn arity(self) -> RangeInclusive<usize> {
        let wanted = TABLE.iter().find(|row| row.1 == self).map_or(0, |row| row.4);
        wanted..=wanted
    }

    pub(crate) fn usage(self) -> &'static str {
        TABLE.iter().find(|row| row.1 == self).map_or("", |row| row.5)
    }

    pub(crate) fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.1 == self).map_or("", |row| row.0)
    }

    /// Whether it reads how the needs ended.
    pub(crate) const fn is_status(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Degraded | Self::Failed | Self::Always | Self::Cancelled
        )
    }
}

/// A channel-safe word: lower-case ASCII letters, digits and single hyphens, none at the ends. Empty when the
/// text has no letter and no digit.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// A function of values alone. `room` bounds what it may build, in bytes.
pub(crate) fn plain(function: Function, args: &[&Value], room: usize) -> Result<Value> {
    let usage = || Fault::new(Code::EvalType, function.usage());
    match (function, args) {
        (Function::Size, [of]) => size(of),
        (Function::Join, [Value::Array(items), Value::String(separator)]) => join(items, separator, room),
        (Function::Text, [of]) => ops::text_of(of)
            .map(Value::String)
            .ok_or_else(|| ops::mistyped("what string() takes", "a bool, a number or a text", of)),
        (Function::Int, [of]) => to_int(of),
        (Function::Float, [of]) => to_float(of),
        (Function::Slug, [Value::String(text)]) => match slug(text) {
            slug if slug.is_empty() => Err(Fault::new(
                Code::EvalCleaner,
                "slug() found no ASCII letter and no digit in the text",
            )),
            slug => Ok(slug.into()),
        },
        (Function::OneOf, [value, Value::Array(allowed)]) => allowed
            .iter()
            .find(|candidate| ops::equal(candidate, value))
            .cloned()
            .ok_or_else(|| {
                Fault::new(
                    Code::EvalCleaner,
                    "one_of(): the value is none of the allowed ones",
                )
            }),
        (Function::AgentHost, [Value::String(text)]) if types::is_host_label(text) => {
            Ok((*text).clone().into())
        }
        (Function::AgentHost, [Value::String(_)]) => Err(Fault::new(
            Code::EvalCleaner,
            "agent_host(): the text is not a well-formed host name",
        )),
        (Function::StartsWith, [Value::String(text), Value::String(with)]) => {
            Ok(text.starts_with(with.as_str()).into())
        }
        (Function::EndsWith, [Value::String(text), Value::String(with)]) => {
            Ok(text.ends_with(with.as_str()).into())
        }
        (Function::Contains, [Value::String(text), Value::String(with)]) => {
            Ok(text.contains(with.as_str()).into())
        }
        (Function::LowerAscii, [Value::String(text)]) => Ok(text.to_ascii_lowercase().into()),
        (Function::UpperAscii, [Value::String(text)]) => Ok(text.to_ascii_uppercase().into()),
        (Function::Trim, [Value::String(text)]) => Ok(text.trim().into()),
        (Function::Replace, [Value::String(text), Value::String(old), Value::String(new)]) => {
            let grown = text.matches(old.as_str()).count().saturating_mul(new.len());
            bounded(text.len().saturating_add(grown), room)?;
            Ok(text.replace(old.as_str(), new).into())
        }
        (Function::Split, [Value::String(text), Value::String(separator)]) => {
            bounded(text.matches(separator.as_str()).count().saturating_mul(4), room)?;
            Ok(text.split(separator.as_str()).map(Value::from).collect())
        }
        _ => Err(usage()),
    }
}

fn bounded(bytes: usize, room: usize) -> Result<()> {
    if bytes > room {
        return Err(Fault::new(
            Code::EvalBudget,
            "the evaluation builds too large a value",
        ));
    }
    Ok(())
}

fn size(of: &Value) -> Result<Value> {
    Ok(match of {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        other => {
            return Err(ops::mistyped(
                "what size() takes",
                "a text, a list or a map",
                other,
            ));
        }
    }
    .into())
}

fn join(items: &[Value], separator: &str, room: usize) -> Result<Value> {
    bounded(items.len().saturating_mul(separator.len()), room)?;
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        let text = ops::text_of(item)
            .ok_or_else(|| ops::mistyped("an element that join() takes", "a scalar", item))?;
        joined.push_str(&text);
    }
    Ok(joined.into())
}

fn to_int(of: &Value) -> Result<Value> {
    let wrong = || Fault::new(Code::EvalNumber, "int(): the value is no whole number of 64 bits");
    match of {
        Value::Number(n) if n.is_i64() => Ok(of.clone()),
        Value::Number(n) => {
            let float = n.as_f64().ok_or_else(wrong)?.trunc();
            // 2^63 is exact as a float; above it nothing fits.
            if n.is_f64() && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) {
                #[expect(clippy::cast_possible_truncation, reason = "checked above")]
                return Ok((float as i64).into());
            }
            Err(wrong())
        }
        Value::String(text) => text.parse::<i64>().map(Value::from).map_err(|_| wrong()),
        other => Err(ops::mistyped("what int() takes", "a number or a text", other)),
    }
}

fn to_float(of: &Value) -> Result<Value> {
    match of {
        Value::Number(n) => ops::float(n.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => match text.parse::<f64>() {
            Ok(value) => ops::float(value),
            Err(_) => Err(Fault::new(Code::EvalNumber, "double(): the text is no number")),
        },
        other => Err(ops::mistyped("what double() takes", "a number or a text", other)),
    }
}
