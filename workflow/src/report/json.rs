//! A file's diagnostics as JSON, in the form that docs/errors.md describes and that stays.

use serde::Serialize;

use crate::{Diagnostic, Span};

/// What was found in one file. Its JSON is `{file, diagnostics: [{code, severity, line, column, end_line, end_column,
/// message, help, label, labels, fix}]}`: every field is always there, `help`, `label` and `fix` may be null. Lines and
/// columns are from 1, columns in characters; `end_column` is the one after the last character.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport<'a> {
    file: &'a str,
    diagnostics: Vec<Entry<'a>>,
}

#[derive(Debug, Clone, Serialize)]
struct Entry<'a> {
    code: &'static str,
    severity: &'static str,
    #[serde(flatten)]
    place: Place,
    message: &'a str,
    help: Option<&'a str>,
    label: Option<&'a str>,
    labels: Vec<Label<'a>>,
    fix: Option<Fix<'a>>,
}

#[derive(Debug, Clone, Serialize)]
struct Place {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Debug, Clone, Serialize)]
struct Label<'a> {
    #[serde(flatten)]
    place: Place,
    text: &'a str,
}

#[derive(Debug, Clone, Serialize)]
struct Fix<'a> {
    #[serde(flatten)]
    place: Place,
    replacement: &'a str,
}

impl<'a> FileReport<'a> {
    /// What was found in the file; nothing is a report too.
    #[must_use]
    pub fn new(file: &'a str, diagnostics: &'a [Diagnostic]) -> Self {
        Self {
            file,
            diagnostics: diagnostics.iter().map(entry).collect(),
        }
    }
}

fn entry(diagnostic: &Diagnostic) -> Entry<'_> {
    Entry {
        code: diagnostic.code.as_str(),
        severity: diagnostic.severity.as_str(),
        place: place(&diagnostic.span),
        message: &diagnostic.message,
        help: diagnostic.help.as_deref(),
        label: diagnostic.label.as_deref(),
        labels: diagnostic
            .labels
            .iter()
            .map(|label| Label {
                place: place(&label.span),
                text: &label.text,
            })
            .collect(),
        fix: diagnostic.suggestion.as_ref().map(|suggestion| Fix {
            place: place(&suggestion.span),
            replacement: &suggestion.replacement,
        }),
    }
}

const fn place(span: &Span) -> Place {
    Place {
        line: span.line,
        column: span.column,
        end_line: span.end_line,
        end_column: span.end_column,
    }
}
