//! Expressions and templates, evaluated. Pure: the same scope gives the same value.
//! Evaluation happens only inside the engine's `decide`; the result is kept in the event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{Object, Value};

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
    /// A diagnostic code: `E7xx`.
    pub code: &'static str,
    /// What happened; never the value of an untrusted text.
    pub message: String,
    /// The expression.
    pub source_text: String,
}
