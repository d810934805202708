//! Expressions and templates, evaluated. Pure: the same scope gives the same value.
//! Evaluation happens only inside the engine's `decide`; the result is kept in the event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{Object, Value, limits};

use crate::{code::Code, expr};

/// A checked expression: its CEL source, at most `limits::EXPRESSION_BYTES`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expr(pub String);

/// A value with expressions in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// A plain value.
    Literal(Value),
    /// A whole-value expression: keeps its type.
    Expr(Expr),
    /// Text with expressions in it: each is turned into text.
    Concat(Vec<Template>),
    /// A list of templates.
    List(Vec<Template>),
    /// An object of templates.
    Map(BTreeMap<String, Template>),
}

/// What the needs' (or the run's) end was, for `succeeded()` and its kin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NeedsStatus {
    /// All needs succeeded or degraded (or were skipped, or failed and were allowed to).
    pub succeeded: bool,
    /// One of them degraded, or failed and was allowed to.
    pub degraded: bool,
    /// One of them failed or was omitted.
    pub failed: bool,
    /// The run is being cancelled.
    pub cancelled: bool,
}

/// What an expression may read: `inputs`, `trigger`, `steps`, `each`, `run`, `alert`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// The roots by name. A step's key has `-` as `_`.
    pub roots: Object,
    /// For the status functions.
    pub needs: NeedsStatus,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message} in `{source_text}`")]
pub struct EvalError {
    /// A diagnostic code: `FH07xx`.
    pub code: &'static str,
    /// What happened; never the value of an untrusted text.
    pub message: String,
    /// The expression.
    pub source_text: String,
}

impl EvalError {
    /// What a part of a step reads is not there, though no expression says so.
    #[must_use]
    pub fn absent(message: String) -> Self {
        Self {
            code: Code::EvalAbsent.as_str(),
            message,
            source_text: "files".to_owned(),
        }
    }
}

impl Expr {
    /// Its value: plain JSON of at most `limits::VALUE_BYTES`.
    ///
    /// # Errors
    /// With a code of `FH07xx`: the text is no expression, a value is absent or mistyped, arithmetic has no result,
    /// a cleaner refuses, or a budget is exceeded. Never with the content of a value.
    pub fn eval(&self, scope: &Scope) -> Result<Value, EvalError> {
        let value = self.eval_unbounded(scope)?;
        bounded(&value).map_err(|fault| self.error(fault))?;
        Ok(value)
    }

    fn eval_unbounded(&self, scope: &Scope) -> Result<Value, EvalError> {
        let node = expr::parse(&self.0)
            .map_err(|error| self.error(expr::Fault::new(Code::EvalSyntax, error.message)))?;
        expr::evaluate(&node, scope).map_err(|fault| self.error(fault))
    }

    fn error(&self, fault: expr::Fault) -> EvalError {
        EvalError {
            code: fault.code.as_str(),
            message: fault.message,
            source_text: self.0.chars().take(limits::MESSAGE_CHARS / 4).collect(),
        }
    }
}

impl Template {
    /// Its value with each expression evaluated once. Text that an expression gives is never evaluated again.
    ///
    /// # Errors
    /// As `Expr::eval`; a list, an object or null inside a text; a whole beyond `limits::VALUE_BYTES`.
    pub fn eval(&self, scope: &Scope) -> Result<Value, EvalError> {
        let mut room = limits::VALUE_BYTES;
        let value = self.eval_within(scope, &mut room)?;
        bounded(&value).map_err(|_| too_large(self))?;
        Ok(value)
    }

    fn eval_within(&self, scope: &Scope, room: &mut usize) -> Result<Value, EvalError> {
        let value = match self {
            Self::Literal(value) => value.clone(),
            Self::Expr(expr) => expr.eval(scope)?,
            Self::Concat(parts) => Value::String(concat(parts, scope)?),
            Self::List(items) => {
                return items.iter().map(|item| item.eval_within(scope, room)).collect();
            }
            Self::Map(entries) => {
                let mut map = Object::new();
                for (key, template) in entries {
                    spend(room, key.len(), self)?;
                    map.insert(key.clone(), template.eval_within(scope, room)?);
                }
                return Ok(Value::Object(map));
            }
        };
        spend(room, expr::weight(&value), self)?;
        Ok(value)
    }

    /// What an error names as its source.
    fn name(&self) -> String {
        match self {
            Self::Expr(expr) => expr.0.clone(),
            Self::Concat(parts) => parts.iter().map(Self::name).collect(),
            Self::Literal(Value::String(text)) => text.chars().take(40).collect(),
            Self::Literal(_) | Self::List(_) | Self::Map(_) => "…".to_owned(),
        }
    }
}

fn concat(parts: &[Template], scope: &Scope) -> Result<String, EvalError> {
    let mut text = String::new();
    for part in parts {
        let value = match part {
            Template::Expr(expr) => expr.eval(scope)?,
            other => other.eval(scope)?,
        };
        let piece = expr::text_of(&value).ok_or_else(|| EvalError {
            code: Code::EvalType.as_str(),
            message: format!(
                "text takes a bool, a number or a text, found {}; use join() or string()",
                expr::kind_of(&value)
            ),
            source_text: part.name(),
        })?;
        text.push_str(&piece);
        if text.len() > limits::VALUE_BYTES {
            return Err(too_large(part));
        }
    }
    Ok(text)
}

fn spend(room: &mut usize, bytes: usize, template: &Template) -> Result<(), EvalError> {
    *room = room.checked_sub(bytes).ok_or_else(|| too_large(template))?;
    Ok(())
}

fn too_large(template: &Template) -> EvalError {
    EvalError {
        code: Code::EvalSize.as_str(),
        message: format!("the value has more than {} bytes", limits::VALUE_BYTES),
        source_text: template.name(),
    }
}

fn bounded(value: &Value) -> Result<(), expr::Fault> {
    // A character of text is at most six bytes of JSON; only what may be too large is measured.
    if expr::weight(value).saturating_mul(6) > limits::VALUE_BYTES && json_bytes(value) > limits::VALUE_BYTES
    {
        let message = format!("the value has more than {} bytes of JSON", limits::VALUE_BYTES);
        return Err(expr::Fault::new(Code::EvalSize, message));
    }
    Ok(())
}

fn json_bytes(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}
