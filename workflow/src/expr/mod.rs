//! Expressions: a subset of CEL, read by our own bounded parser into one tree that the checker types and the
//! evaluator runs. The `cel` crate is the oracle of the tests, not a part of the product: its parser overflows a
//! thread's stack at 90 nested parentheses, knows no step budget and gives spans only at 40 µs an expression.
//!
//! What differs from CEL, on purpose: an int meets a float as a float, a field that is `null` counts as absent
//! for `has` and `default`, a string's order is by code point, and unsigned ints, bytes, durations, regular
//! expressions and nested comprehensions do not exist.

mod ast;
mod functions;
mod lex;
mod ops;
mod parse;
mod run;

pub(crate) use ast::{BinaryOp, Kind, Macro, Node, Span};
pub(crate) use functions::Function;
pub(crate) use ops::{kind_of, text_of, weight};
pub(crate) use parse::{SyntaxKind, parse};
pub(crate) use run::{Fault, evaluate};

#[cfg(test)]
mod tests;
