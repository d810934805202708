//! Operators on JSON values.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::Number;
use types::Value;

use super::{
    ast::BinaryOp,
    run::{Fault, Got, Result},
};
use crate::code::Code;

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

pub(crate) fn mistyped(what: &str, wanted: &str, found: &Value) -> Fault {
    Fault::new(
        Code::EvalType,
        format!("{what} must be {wanted}, found {}", kind_of(found)),
    )
}

/// About the bytes of its JSON form.
pub(crate) fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => 2 + text.len(),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + weight(item)).sum::<usize>(),
        Value::Object(map) => {
            2 + map
                .iter()
                .map(|(key, value)| 4 + key.len() + weight(value))
                .sum::<usize>()
        }
    }
}

pub(crate) fn index<'a>(of: Got<'a>, index: &Value) -> Result<Got<'a>> {
    match (of.as_ref(), index) {
        (Value::Array(items), Value::Number(_)) => {
            let at = index.as_u64().and_then(|at| usize::try_from(at).ok());
            let found = at.filter(|at| *at < items.len());
            let Some(at) = found else {
                return Err(Fault::new(
                    Code::EvalAbsent,
                    format!("index {index} is outside of a list of {}", items.len()),
                ));
            };
            Ok(match of {
                Cow::Borrowed(of) => Cow::Borrowed(&of[at]),
                Cow::Owned(of) => Cow::Owned(of[at].clone()),
            })
        }
        (Value::Object(map), Value::String(key)) => {
            if !map.contains_key(key) {
                return Err(Fault::new(Code::EvalAbsent, "the map has no such key"));
            }
            Ok(match of {
                Cow::Borrowed(of) => Cow::Borrowed(&of[key]),
                Cow::Owned(of) => Cow::Owned(of[key].clone()),
            })
        }
        (Value::Null, _) => Err(Fault::new(Code::EvalAbsent, "null has no elements")),
        (Value::Array(_), other) => Err(mistyped("the index of a list", "int", other)),
        (Value::Object(_), other) => Err(mistyped("the key of a map", "string", other)),
        (other, _) => Err(mistyped("what is indexed", "a list or a map", other)),
    }
}

pub(crate) fn negate(value: &Value) -> Result<Value> {
    match value {
        Value::Number(n) => match number(n) {
            Num::Int(i) => int(i.checked_neg()),
            Num::Float(f) => float(-f),
        },
        other => Err(mistyped("what `-` negates", "a number", other)),
    }
}

/// A JSON number: whole ones of 64 bits with either sign, or a float.
#[derive(Clone, Copy)]
enum Num {
    Int(i128),
    Float(f64),
}

fn number(n: &Number) -> Num {
    match (n.as_i64(), n.as_u64()) {
        (Some(i), _) => Num::Int(i.into()),
        (None, Some(u)) => Num::Int(u.into()),
        (None, None) => Num::Float(n.as_f64().unwrap_or(f64::NAN)),
    }
}

impl Num {
    #[expect(clippy::cast_precision_loss, reason = "a float is what was asked for")]
    const fn float(self) -> f64 {
        match self {
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        }
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Int(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Int(b)) => compare_mixed(b, a).map(Ordering::reverse),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
        }
    }
}

/// Exact where a cast to a float would round.
fn compare_mixed(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates; i128 is wider than any int here"
    )]
    let whole = b.trunc() as i128;
    Some(
        a.cmp(&whole)
            .then_with(|| 0.0_f64.total_cmp(&(b - b.trunc() + 0.0))),
    )
}

fn int(value: Option<i128>) -> Result<Value> {
    value
        .and_then(|value| i64::try_from(value).ok())
        .map(Value::from)
        .ok_or_else(|| Fault::new(Code::EvalNumber, "the result does not fit an int of 64 bits"))
}

pub(crate) fn float(value: f64) -> Result<Value> {
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| Fault::new(Code::EvalNumber, "the result is not a finite number"))
}

pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => number(a).compare(number(b)) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(k, v)| b.get(k).is_some_and(|other| equal(v, other)))
        }
        _ => left == right,
    }
}

fn compare(op: BinaryOp, left: &Value, right: &Value) -> Result<bool> {
    let ordering = match (left, right) {
        (Value::Number(a), Value::Number(b)) => number(a).compare(number(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => {
            return Err(Fault::new(
                Code::EvalType,
                format!(
                    "`{}` compares two numbers or two texts, found {} and {}",
                    op.as_str(),
                    kind_of(left),
                    kind_of(right)
                ),
            ));
        }
    };
    let ordering = ordering.ok_or_else(|| Fault::new(Code::EvalNumber, "not a number has no order"))?;
    Ok(match op {
        BinaryOp::Less => ordering.is_lt(),
        BinaryOp::LessEqual => ordering.is_le(),
        BinaryOp::Greater => ordering.is_gt(),
        _ => ordering.is_ge(),
    })
}

/// Each operator except `&&` and `||`.
pub(crate) fn binary(op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
    match op {
        BinaryOp::Equal => Ok(equal(left, right).into()),
        BinaryOp::NotEqual => Ok((!equal(left, right)).into()),
        BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Greater | BinaryOp::GreaterEqual => {
            compare(op, left, right).map(Value::from)
        }
        BinaryOp::In => contained(left, right).map(Value::from),
        BinaryOp::Add => add(left, right),
        _ => arithmetic(op, left, right),
    }
}

fn contained(left: &Value, right: &Value) -> Result<bool> {
    match (left, right) {
        (_, Value::Array(items)) => Ok(items.iter().any(|item| equal(item, left))),
        (Value::String(key), Value::Object(map)) => Ok(map.contains_key(key)),
        (_, Value::Object(_)) => Err(mistyped("what is looked for in a map", "string", left)),
        (_, other) => Err(mistyped("the right side of `in`", "a list or a map", other)),
    }
}

fn add(left: &Value, right: &Value) -> Result<Value> {
    match (left, right) {
        (Value::String(a), Value::String(b)) => Ok(Value::String(format!("{a}{b}"))),
        (Value::Array(a), Value::Array(b)) => Ok(Value::Array(a.iter().chain(b).cloned().collect())),
        _ => arithmetic(BinaryOp::Add, left, right),
    }
}

fn arithmetic(op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
    let (Value::Number(left), Value::Number(right)) = (left, right) else {
        return Err(Fault::new(
            Code::EvalType,
            format!(
                "`{}` does not take {} and {}",
                op.as_str(),
                kind_of(left),
                kind_of(right)
            ),
        ));
    };
    match (number(left), number(right)) {
        (Num::Int(a), Num::Int(b)) => int(match op {
            BinaryOp::Add => a.checked_add(b),
            BinaryOp::Subtract => a.checked_sub(b),
            BinaryOp::Multiply => a.checked_mul(b),
            _ if b == 0 => return Err(Fault::new(Code::EvalNumber, "division by zero")),
            BinaryOp::Divide => a.checked_div(b),
            _ => a.checked_rem(b),
        }),
        (a, b) => {
            let (a, b) = (a.float(), b.float());
            float(match op {
                BinaryOp::Add => a + b,
                BinaryOp::Subtract => a - b,
                BinaryOp::Multiply => a * b,
                BinaryOp::Divide => a / b,
                _ => return Err(Fault::new(Code::EvalType, "`%` takes two ints")),
            })
        }
    }
}

/// A scalar as text, for templates and `string()`.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        Value::String(s) => Some(s.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
