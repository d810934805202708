//! The language: text → Spec (with spans) → Plan. Pure.

mod check;
mod code;
mod compile;
mod diagnostic;
mod eval;
mod example;
mod export;
mod expr;
mod graph;
mod local;
mod near;
mod plan;
mod reads;
mod render;
mod report;
mod source;
mod spec;
mod template;
mod yaml;

pub use code::{Code, explain};
pub use compile::{Compiled, compile};
pub use diagnostic::{Diagnostic, Label, Severity, Span, Suggestion};
pub use eval::{EvalError, Expr, NeedsStatus, Scope, Template};
pub use example::{Example, Kind as ExampleKind};
pub use export::{dag, dot, mermaid};
pub use local::{
    ActionFiles, CompiledAll, LocalAction, bundle, compile_with, is_local, local_uses, main_of, read_action,
};
pub use near::nearest;
pub use plan::{
    Body, FanOut, Input, InputError, LocalUse, OnAlert, Plan, PlanFile, PlanFileFrom, PlanService, PlanStep,
};
pub use reads::Reads;
pub use render::{Look, count, render, render_text};
pub use report::{Checked, FileReport, sarif};
pub use source::{Refused, SourceFile};
