//! Diagnostics as text, in the form that rustc made familiar.

mod excerpt;
mod show;

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};

use self::{
    excerpt::{Excerpt, Lines, excerpts},
    show::visible,
};
use crate::{Diagnostic, Severity, SourceFile, Span};

/// How diagnostics are shown.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// With the escape sequences of colours.
    pub color: bool,
    /// The width that excerpts keep within where they can, in columns; at least 40.
    pub columns: usize,
}

impl Look {
    /// Without colours, 140 columns wide.
    pub const PLAIN: Self = Self {
        color: false,
        columns: 140,
    };
}

/// Renders diagnostics with excerpts of their source. One line `n errors` ends it.
#[must_use]
pub fn render_text(diagnostics: &[Diagnostic], source: &SourceFile, color: bool) -> String {
    let mut text = render(diagnostics, source, Look { color, ..Look::PLAIN });
    if !diagnostics.is_empty() {
        text.push_str(&count(diagnostics));
        text.push('\n');
    }
    text
}

/// `2 errors`, `1 warning`, `1 error and 2 warnings`.
#[must_use]
pub fn count(diagnostics: &[Diagnostic]) -> String {
    let of = |severity| diagnostics.iter().filter(|one| one.severity == severity).count();
    let told = |count, word: &str| match count {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    };
    match (of(Severity::Error), of(Severity::Warning)) {
        (errors, 0) => told(errors, "error"),
        (0, warnings) => told(warnings, "warning"),
        (errors, warnings) => format!("{} and {}", told(errors, "error"), told(warnings, "warning")),
    }
}

/// Renders diagnostics with excerpts of their source, an empty line after each. Nothing in it steers a terminal, but
/// for the colours that were asked for.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], source: &SourceFile, look: Look) -> String {
    let renderer = if look.color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.term_width(look.columns.max(40));
    let starts: Vec<usize> = source.line_starts().collect();
    let lines = Lines {
        text: &source.text,
        starts: &starts,
    };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&one(diagnostic, source, &lines, &renderer));
        text.push_str("\n\n");
    }
    text
}

/// A changed line of more bytes would fill the terminal; the help says the word anyway.
const WIDE: usize = 200;

const fn bytes(span: &Span) -> Range<usize> {
    span.start..span.end
}

fn one(diagnostic: &Diagnostic, source: &SourceFile, lines: &Lines<'_>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let name = visible(&source.name);
    let title = level
        .primary_title(visible(&diagnostic.message))
        .id(diagnostic.code.as_str());
    let mut group = Group::with_title(title);
    let spans = std::iter::once(&diagnostic.span).chain(diagnostic.labels.iter().map(|label| &label.span));
    let places: Vec<Range<usize>> = spans.map(|span| lines.pointed(&bytes(span))).collect();
    let shown = if source.text.is_empty() {
        Vec::new()
    } else {
        excerpts(lines, &places)
    };
    if shown.is_empty() {
        group = group.element(Origin::path(name.clone()));
    }
    for part in &shown {
        let snippet = annotated(part, diagnostic, &places);
        if part.shifted {
            let at = part
                .holds
                .first()
                .map_or(&diagnostic.span, |place| span(diagnostic, *place));
            let origin = Origin::path(name.clone()).line(at.line).char_column(at.column);
            group = group.element(origin).element(snippet);
        } else {
            group = group.element(snippet.path(name.clone()));
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    let mut report = vec![group];
    report.extend(fix(diagnostic, source, lines));
    let text = renderer.render(&report);
    if shown.first().is_some_and(|part| part.shifted) {
        return without_second_origin(&text);
    }
    text
}

/// The place of a cut line is said by an origin of its own, after which the renderer marks the snippet as another
/// file's: title, origin, bar, mark.
fn without_second_origin(text: &str) -> String {
    let lines = text.lines().enumerate();
    let kept = lines.filter(|(index, line)| *index != 3 || !line.contains(":::"));
    kept.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

fn span(diagnostic: &Diagnostic, place: usize) -> &Span {
    match place
        .checked_sub(1)
        .and_then(|index| diagnostic.labels.get(index))
    {
        Some(label) => &label.span,
        None => &diagnostic.span,
    }
}

fn annotated<'a>(
    part: &'a Excerpt,
    diagnostic: &Diagnostic,
    places: &[Range<usize>],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let mut snippet = Snippet::source(part.text.as_str())
        .line_start(part.first_line)
        .fold(true);
    for place in &part.holds {
        let range = part.range(&places[*place]);
        let (kind, label) = match place.checked_sub(1) {
            None => (AnnotationKind::Primary, diagnostic.label.as_deref()),
            Some(index) => (
                AnnotationKind::Context,
                diagnostic.labels.get(index).map(|label| label.text.as_str()),
            ),
        };
        snippet = snippet.annotation(kind.span(range).label(label.map(visible)));
    }
    snippet
}

/// The suggestion as the changed line.
fn fix(diagnostic: &Diagnostic, source: &SourceFile, lines: &Lines<'_>) -> Option<Group<'static>> {
    let suggestion = diagnostic.suggestion.as_ref()?;
    let range = bytes(&suggestion.span);
    let part = excerpts(lines, std::slice::from_ref(&range)).pop()?;
    if range.is_empty() || part.text.len() > WIDE || !part.is_whole(&source.text, &range) {
        return None;
    }
    let patch = Patch::new(part.range(&range), visible(&suggestion.replacement));
    let changed = Snippet::source(part.text)
        .line_start(part.first_line)
        .fold(true)
        .patch(patch);
    Some(Level::HELP.secondary_title("write").element(changed))
}
