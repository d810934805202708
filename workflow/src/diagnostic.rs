//! Diagnostics: what is wrong, where, why, and the way out.

use std::{cell::Cell, rc::Rc};

use crate::{code::Code, source::SourceFile};

/// A range of bytes in a definition's source.
pub(crate) use crate::expr::Span as Loc;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// There is no plan.
    Error,
    /// There is a plan, and probably not the meant one.
    Warning,
}

/// A place in a file: lines and columns from 1, columns in characters, and the same in bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The file's name.
    pub file: String,
    /// First line.
    pub line: usize,
    /// First column.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// The column after the last character.
    pub end_column: usize,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A second place with what it has to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What.
    pub text: String,
}

/// A replacement that probably is the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What is replaced.
    pub span: Span,
    /// By what.
    pub replacement: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `FH0301`.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What is wrong here.
    pub message: String,
    /// Where.
    pub span: Span,
    /// At that place: a few words.
    pub label: Option<String>,
    /// Other places.
    pub labels: Vec<Label>,
    /// The way out.
    pub help: Option<String>,
    /// The probable fix.
    pub suggestion: Option<Suggestion>,
}

impl Severity {
    /// `error`, `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A diagnostic before its places are turned into lines and columns.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) code: Code,
    severity: Severity,
    pub(crate) at: Loc,
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) labels: Vec<(Loc, String)>,
    pub(crate) help: Option<String>,
    pub(crate) suggestion: Option<(Loc, String)>,
    /// Beyond the bound: counted only, so what costs time to say is not worked out.
    unheard: bool,
    patience: Rc<Cell<usize>>,
}

impl Draft {
    pub(crate) fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = Some(text.into());
        self
    }

    pub(crate) fn also(&mut self, at: Loc, text: impl Into<String>) -> &mut Self {
        self.labels.push((at, text.into()));
        self
    }

    pub(crate) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    pub(crate) fn suggest(&mut self, at: Loc, replacement: impl Into<String>) -> &mut Self {
        self.suggestion = Some((at, replacement.into()));
        self
    }

    /// Suggests the nearest known word in place of the wrong one, or names what is known.
    pub(crate) fn nearest<'a>(
        &mut self,
        at: Loc,
        word: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> &mut Self {
        if self.unheard {
            return self;
        }
        let left = self.patience.get();
        let count = known.clone().into_iter().take(left).count();
        self.patience.set(left - count);
        if let Some(near) = crate::nearest(word, known.clone().into_iter().take(count)) {
            return self.help(format!("did you mean `{near}`?")).suggest(at, near);
        }
        if (1..=LISTED).contains(&count) {
            let mut known: Vec<&str> = known.into_iter().collect();
            known.sort_unstable();
            self.help(format!("known: {}", known.join(", ")));
        }
        self
    }
}

/// More known words than these are no help in a message.
const LISTED: usize = 40;
/// The known words that wrong ones of a file are compared with: ten thousand wrong references to ten thousand steps
/// would take minutes.
const PATIENCE: usize = 300_000;

/// Collects what is wrong; all of a file in one pass, up to a bound.
#[derive(Debug)]
pub(crate) struct Sink {
    drafts: Vec<Draft>,
    dropped_errors: usize,
    dropped_warnings: usize,
    patience: Rc<Cell<usize>>,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            drafts: Vec::new(),
            dropped_errors: 0,
            dropped_warnings: 0,
            patience: Rc::new(Cell::new(PATIENCE)),
        }
    }
}

/// The errors and warnings of one file that are shown.
const SHOWN: usize = 200;

impl Sink {
    pub(crate) fn error(&mut self, code: Code, at: Loc, message: impl Into<String>) -> &mut Draft {
        self.push(Severity::Error, code, at, message.into())
    }

    /// What leaves a plan that is probably not the meant one.
    pub(crate) fn warning(&mut self, code: Code, at: Loc, message: impl Into<String>) -> &mut Draft {
        self.push(Severity::Warning, code, at, message.into())
    }

    fn push(&mut self, severity: Severity, code: Code, at: Loc, message: String) -> &mut Draft {
        // The one beyond the bound was counted when it came.
        self.drafts.truncate(SHOWN);
        let unheard = self.drafts.len() >= SHOWN && !self.makes_room(severity);
        if unheard {
            match severity {
                Severity::Error => self.dropped_errors += 1,
                Severity::Warning => self.dropped_warnings += 1,
            }
        }
        self.drafts.push(Draft {
            code,
            severity,
            at,
            message,
            label: None,
            labels: Vec::new(),
            help: None,
            suggestion: None,
            unheard,
            patience: Rc::clone(&self.patience),
        });
        let last = self.drafts.len() - 1;
        &mut self.drafts[last]
    }

    /// A warning goes for an error: however many there are, what leaves no plan is said.
    fn makes_room(&mut self, severity: Severity) -> bool {
        // Where an error was dropped already, there are errors only.
        if severity != Severity::Error || self.dropped_errors > 0 {
            return false;
        }
        let warning = |draft: &Draft| draft.severity == Severity::Warning;
        let Some(last) = self.drafts.iter().rposition(warning) else {
            return false;
        };
        self.drafts.remove(last);
        self.dropped_warnings += 1;
        true
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.dropped_errors > 0 || self.drafts.iter().any(|draft| draft.severity == Severity::Error)
    }

    /// In the order of the source.
    pub(crate) fn finish(mut self, source: &SourceFile) -> Vec<Diagnostic> {
        self.drafts.truncate(SHOWN);
        self.drafts
            .sort_by_key(|draft| (draft.at.start, draft.at.end, draft.code));
        let at = self.drafts.last().map_or(Loc::default(), |draft| draft.at);
        let more = |count: usize, word: &str| match count {
            1 => format!("1 more {word} is"),
            n => format!("{n} more {word}s are"),
        };
        match (self.dropped_errors, self.dropped_warnings) {
            (0, 0) => {}
            (0, warnings) => {
                let message = format!("{} not shown", more(warnings, "warning"));
                self.warning(Code::TooMany, at, message);
            }
            (errors, 0) => {
                let message = format!("{} not shown", more(errors, "error"));
                self.error(Code::TooMany, at, message);
            }
            (errors, warnings) => {
                let message = format!("{errors} more errors and {warnings} more warnings are not shown");
                self.error(Code::TooMany, at, message);
            }
        }
        let lines = source.lines();
        self.drafts
            .into_iter()
            .map(|draft| Diagnostic {
                code: draft.code,
                severity: draft.severity,
                message: draft.message,
                span: lines.span(draft.at),
                label: draft.label,
                labels: draft
                    .labels
                    .into_iter()
                    .map(|(at, text)| Label {
                        span: lines.span(at),
                        text,
                    })
                    .collect(),
                help: draft.help,
                suggestion: draft.suggestion.map(|(at, replacement)| {
                    let span = lines.span(at);
                    let replaced = source.text.get(span.start..span.end).unwrap_or_default();
                    let replacement = quoted_as(replaced, replacement);
                    Suggestion { span, replacement }
                }),
            })
            .collect()
    }
}

/// A replacement in the quotes of what it replaces, unless it is no text.
fn quoted_as(replaced: &str, replacement: String) -> String {
    if matches!(replacement.as_str(), "true" | "false") || replacement.starts_with('[') {
        return replacement;
    }
    if replaced.len() >= 2 && replaced.starts_with('"') && replaced.ends_with('"') {
        return serde_json::Value::String(replacement).to_string();
    }
    if replaced.len() >= 2 && replaced.starts_with('\'') && replaced.ends_with('\'') {
        return format!("'{}'", replacement.replace('\'', "''"));
    }
    replacement
}
