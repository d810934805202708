//! The definition reader: any bytes give a plan or diagnostics whose places lie in the text and which can be shown.

use types::limits;
use workflow::{Diagnostic, Plan, Severity, SourceFile, Span, compile, dag, dot, mermaid, render_text};

use crate::CATALOGUE;

/// # Panics
/// When a property does not hold.
pub fn check(data: &[u8]) {
    let refused = match SourceFile::from_bytes("fuzzed.yaml", data.to_vec()) {
        Ok(source) => return compiled(&source),
        Err(refused) => refused,
    };
    assert!(
        data.len() > limits::DEFINITION_BYTES || std::str::from_utf8(data).is_err(),
        "a text of a fair size is read: {refused:?}"
    );
}

fn compiled(source: &SourceFile) {
    let first = compile(source, &CATALOGUE);
    let wrong = first
        .diagnostics
        .iter()
        .any(|one| one.severity == Severity::Error);
    assert_eq!(
        first.plan.is_none(),
        wrong,
        "a plan, or an error that says why there is none"
    );
    for diagnostic in &first.diagnostics {
        within(diagnostic, &source.text);
    }
    let shown = render_text(&first.diagnostics, source, false);
    assert!(first.diagnostics.is_empty() || !shown.is_empty());
    assert!(
        !shown.contains('\u{1b}'),
        "no control sequence of the source reaches a terminal"
    );
    let again = compile(source, &CATALOGUE);
    assert_eq!(
        first.diagnostics, again.diagnostics,
        "the same text, the same diagnostics"
    );
    assert_eq!(first.plan, again.plan, "the same text, the same plan");
    if let Some(plan) = &first.plan {
        planned(plan);
    }
}

/// A plan is stored and shown.
fn planned(plan: &Plan) {
    assert!(!plan.name.is_empty() && plan.steps.len() <= limits::STEPS);
    let text = serde_json::to_string(plan).expect("a plan has a JSON form");
    let back: Plan = serde_json::from_str(&text).expect("a plan is read as it was written");
    assert_eq!(*plan, back);
    for step in &plan.steps {
        for need in &step.needs {
            assert!(
                plan.steps.iter().any(|other| other.key == *need),
                "{need} is a step"
            );
        }
    }
    let _ = (dag(plan), dot(plan), mermaid(plan));
}

fn within(diagnostic: &Diagnostic, text: &str) {
    let spans = diagnostic.labels.iter().map(|label| &label.span);
    let suggested = diagnostic.suggestion.iter().map(|suggestion| &suggestion.span);
    for span in spans.chain(suggested).chain([&diagnostic.span]) {
        place(span, text);
    }
    assert!(!diagnostic.message.is_empty());
}

fn place(span: &Span, text: &str) {
    assert!(
        span.start <= span.end && span.end <= text.len(),
        "{span:?} of {} bytes",
        text.len()
    );
    assert!(
        text.is_char_boundary(span.start) && text.is_char_boundary(span.end),
        "{span:?}"
    );
    assert!(span.line >= 1 && span.column >= 1, "{span:?}");
    assert!(
        (span.line, span.column) <= (span.end_line, span.end_column),
        "{span:?}"
    );
}
