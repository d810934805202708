//! Diagnostics as text, in the form that rustc made familiar.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Patch, Renderer, Snippet};

use crate::{Diagnostic, Severity, SourceFile, Span};

/// Renders diagnostics with excerpts of their source. One line `n errors` ends it.
#[must_use]
pub fn render_text(diagnostics: &[Diagnostic], source: &SourceFile, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&one(diagnostic, source, &renderer));
        text.push_str("\n\n");
    }
    match diagnostics.len() {
        0 => {}
        1 => text.push_str("1 error\n"),
        n => text.push_str(&format!("{n} errors\n")),
    }
    text
}

/// The lines that an excerpt shows, so that a large file is not read for each diagnostic.
struct Window<'a> {
    text: &'a str,
    start: usize,
    first_line: usize,
}

/// The longest excerpt.
const WINDOW_BYTES: usize = 64 * 1024;

fn window<'a>(diagnostic: &Diagnostic, source: &'a SourceFile) -> Window<'a> {
    let text = source.text.as_str();
    let places =
        || std::iter::once(&diagnostic.span).chain(diagnostic.labels.iter().map(|label| &label.span));
    let spread = |places: &[&Span]| {
        let low = places
            .iter()
            .map(|span| span.start)
            .min()
            .unwrap_or(0)
            .min(text.len());
        let high = places
            .iter()
            .map(|span| span.end)
            .max()
            .unwrap_or(0)
            .min(text.len());
        let start = text[..low].rfind('\n').map_or(0, |at| at + 1);
        let end = text[high..].find('\n').map_or(text.len(), |at| high + at);
        start..end
    };
    let all: Vec<&Span> = places().collect();
    let mut range = spread(&all);
    if range.len() > WINDOW_BYTES {
        range = spread(&all[..1]);
    }
    Window {
        text: &text[range.clone()],
        start: range.start,
        first_line: 1 + text[..range.start].matches('\n').count(),
    }
}

impl Window<'_> {
    fn range(&self, span: &Span) -> Option<Range<usize>> {
        let start = span.start.checked_sub(self.start)?;
        let end = span.end.checked_sub(self.start)?;
        (end <= self.text.len() && start <= end).then_some(start..end)
    }
}

fn one(diagnostic: &Diagnostic, source: &SourceFile, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let window = window(diagnostic, source);
    if window.text.len() > WINDOW_BYTES {
        let span = &diagnostic.span;
        return format!(
            "error[{}]: {}\n --> {}:{}:{}",
            diagnostic.code.as_str(),
            printable(&diagnostic.message),
            span.file,
            span.line,
            span.column
        );
    }
    let mut snippet = Snippet::source(window.text)
        .path(&source.name)
        .line_start(window.first_line)
        .fold(true);
    if let Some(range) = window.range(&diagnostic.span) {
        snippet = snippet.annotation(
            AnnotationKind::Primary
                .span(range)
                .label(diagnostic.label.as_deref().map(printable)),
        );
    }
    for label in &diagnostic.labels {
        if let Some(range) = window.range(&label.span) {
            snippet = snippet.annotation(AnnotationKind::Context.span(range).label(printable(&label.text)));
        }
    }
    let mut group = level
        .primary_title(printable(&diagnostic.message))
        .id(diagnostic.code.as_str())
        .element(snippet);
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    let mut report = vec![group];
    if let Some(suggestion) = &diagnostic.suggestion
        && let Some(range) = window.range(&suggestion.span)
        && !range.is_empty()
    {
        let fix = Snippet::source(window.text)
            .path(&source.name)
            .line_start(window.first_line)
            .fold(true)
            .patch(Patch::new(range, printable(&suggestion.replacement)));
        report.push(Level::HELP.secondary_title("write").element(fix));
    }
    renderer.render(&report)
}

/// A definition may hold any text; a terminal must not obey it.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
