//! Texts with `${{ }}` read into parts, and trees of them.

use types::Value;

use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    expr::{self, SyntaxKind},
    source::SourceFile,
    yaml::{Data, Node},
};

/// An expression with its place.
#[derive(Debug, Clone)]
pub(crate) struct ExprSpec {
    pub(crate) source: String,
    /// The whole expression; the scalar around it when the source spells it differently.
    pub(crate) at: Loc,
    exact: bool,
    /// None when it could not be read, which has been said.
    pub(crate) node: Option<expr::Node>,
}

impl ExprSpec {
    /// Where a part of it is.
    pub(crate) fn loc(&self, span: expr::Span) -> Loc {
        if self.exact {
            Loc {
                start: self.at.start + span.start,
                end: self.at.start + span.end,
            }
        } else {
            self.at
        }
    }

    /// Reads the text of an expression that stands at `start` in the file, if it stands there as it is.
    pub(crate) fn read(
        text: &str,
        within: Loc,
        start: Option<usize>,
        source: &SourceFile,
        sink: &mut Sink,
    ) -> Self {
        let trimmed = text.trim();
        let start = start.map(|start| start + (text.len() - text.trim_start().len()));
        let exact = start.filter(|start| {
            source
                .text
                .get(*start..)
                .is_some_and(|rest| rest.starts_with(trimmed))
        });
        let at = exact.map_or(within, |start| Loc {
            start,
            end: start + trimmed.len(),
        });
        let mut spec = Self {
            source: trimmed.to_owned(),
            at,
            exact: exact.is_some(),
            node: None,
        };
        match expr::parse(trimmed) {
            Ok(node) => spec.node = Some(node),
            Err(error) => {
                let code = match error.kind {
                    SyntaxKind::Syntax => Code::BadExpression,
                    SyntaxKind::Limit => Code::ExpressionLimit,
                    SyntaxKind::UnknownFunction => Code::UnknownFunction,
                };
                let at = spec.loc(error.span);
                let draft = sink.error(code, at, error.message);
                if let Some(help) = error.help {
                    draft.help(help);
                }
                if let Some(replacement) = error.replacement.filter(|_| spec.exact) {
                    draft.suggest(at, replacement);
                }
            }
        }
        spec
    }

    /// A bare expression that is a scalar's whole text.
    pub(crate) fn of_scalar(text: &str, at: Loc, source: &SourceFile, sink: &mut Sink) -> Self {
        let found = source.text.get(at.start..at.end).and_then(|raw| raw.find(text));
        Self::read(text, at, found.map(|offset| at.start + offset), source, sink)
    }
}

/// A value with expressions in it, and its place.
#[derive(Debug, Clone)]
pub(crate) struct Tpl {
    pub(crate) at: Loc,
    pub(crate) kind: TplKind,
}

#[derive(Debug, Clone)]
pub(crate) enum TplKind {
    /// A scalar without expressions.
    Literal(Value),
    /// One expression and nothing else.
    Expr(ExprSpec),
    Concat(Vec<Part>),
    List(Vec<Tpl>),
    Map(Vec<(String, Loc, Tpl)>),
    Wrong,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Text(String),
    Expr(ExprSpec),
}

impl Tpl {
    pub(crate) fn read(node: &Node, source: &SourceFile, sink: &mut Sink) -> Self {
        let kind = match &node.data {
            Data::Scalar(Value::String(text)) => read_text(text, node.at, source, sink),
            Data::Scalar(value) => TplKind::Literal(value.clone()),
            Data::List(items) => {
                TplKind::List(items.iter().map(|item| Self::read(item, source, sink)).collect())
            }
            Data::Map(entries) => TplKind::Map(
                entries
                    .iter()
                    .map(|entry| {
                        (
                            entry.key.clone(),
                            entry.key_at,
                            Self::read(&entry.value, source, sink),
                        )
                    })
                    .collect(),
            ),
            Data::Wrong => TplKind::Wrong,
        };
        Self { at: node.at, kind }
    }

    /// Calls for each expression.
    pub(crate) fn each_expr<'a>(&'a self, run: &mut dyn FnMut(&'a ExprSpec)) {
        match &self.kind {
            TplKind::Literal(_) | TplKind::Wrong => {}
            TplKind::Expr(expr) => run(expr),
            TplKind::Concat(parts) => parts.iter().for_each(|part| {
                if let Part::Expr(expr) = part {
                    run(expr);
                }
            }),
            TplKind::List(items) => items.iter().for_each(|item| item.each_expr(run)),
            TplKind::Map(entries) => entries.iter().for_each(|(_, _, item)| item.each_expr(run)),
        }
    }

    /// Its value when there is no expression in it.
    pub(crate) fn constant(&self) -> Option<Value> {
        match &self.kind {
            TplKind::Literal(value) => Some(value.clone()),
            TplKind::List(items) => items
                .iter()
                .map(Self::constant)
                .collect::<Option<Vec<_>>>()
                .map(Value::Array),
            TplKind::Map(entries) => entries
                .iter()
                .map(|(key, _, item)| Some((key.clone(), item.constant()?)))
                .collect::<Option<types::Object>>()
                .map(Value::Object),
            TplKind::Expr(_) | TplKind::Concat(_) | TplKind::Wrong => None,
        }
    }
}

const OPEN: &str = "${{";

fn read_text(text: &str, at: Loc, source: &SourceFile, sink: &mut Sink) -> TplKind {
    if !text.contains(OPEN) {
        look_alike(at, source, sink);
        return TplKind::Literal(text.into());
    }
    let raw = source.text.get(at.start..at.end).unwrap_or_default();
    let mut raw_openings = raw
        .match_indices(OPEN)
        .map(|(offset, _)| at.start + offset + OPEN.len());
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(OPEN) {
        let raw_start = raw_openings.next();
        let inner = &rest[open + OPEN.len()..];
        let Some(close) = closing(inner) else {
            let from = raw_start.map_or(at, |start| Loc {
                start: start - OPEN.len(),
                end: start,
            });
            sink.error(Code::Unclosed, from, "this expression has no end")
                .help("close it with `}}`");
            return TplKind::Wrong;
        };
        if open > 0 {
            parts.push(Part::Text(rest[..open].to_owned()));
        }
        let inner_text = &inner[..close];
        // Openings inside of an expression's own texts stand in the source too.
        for _ in inner_text.matches(OPEN) {
            raw_openings.next();
        }
        parts.push(Part::Expr(ExprSpec::read(
            inner_text, at, raw_start, source, sink,
        )));
        rest = &inner[close + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    match <[Part; 1]>::try_from(parts) {
        Ok([Part::Expr(expr)]) => TplKind::Expr(expr),
        Ok([Part::Text(text)]) => TplKind::Literal(text.into()),
        Err(parts) => TplKind::Concat(parts),
    }
}

/// Warns of what is an expression elsewhere and a text here.
fn look_alike(at: Loc, source: &SourceFile, sink: &mut Sink) {
    let raw = source.text.get(at.start..at.end).unwrap_or_default();
    let reads = |rest: &str| {
        let rest = rest.trim_start();
        ["inputs.", "steps.", "trigger.", "each."]
            .iter()
            .any(|root| rest.starts_with(root))
    };
    for open in ["{{", "${"] {
        let found = raw
            .match_indices(open)
            .find(|(offset, _)| reads(&raw[offset + open.len()..]));
        let Some((offset, _)) = found else { continue };
        let start = at.start + offset;
        let end = start + open.len();
        let draft = sink.warning(
            Code::LooksLike,
            Loc { start, end },
            "this looks like an expression and is a text",
        );
        match open {
            "{{" => draft
                .help("an expression begins with `${{`")
                .suggest(Loc { start, end }, OPEN),
            _ => draft.help("an expression is written `${{ … }}`"),
        };
        return;
    }
}

/// Where `}}` ends the expression: outside of its texts and of its own braces.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut quote) = (0, 0_usize, None);
    while at < bytes.len() {
        let byte = bytes[at];
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), _) => {
                if byte == open {
                    quote = None;
                }
            }
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    // A quote that is never closed: the first end counts, so that the message is about the quote.
    quote.and_then(|_| text.find("}}"))
}
