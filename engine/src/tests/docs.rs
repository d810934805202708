//! The documents name what there is.

use std::fs;

use super::golden;
use crate::history::KINDS;

fn document(name: &str) -> String {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn each_event_has_its_row_with_each_field() {
    let events = document("events.md");
    for kind in KINDS {
        let start = format!("| `{kind}` |");
        let rows: Vec<&str> = events.lines().filter(|line| line.starts_with(&start)).collect();
        assert_eq!(rows.len(), 1, "docs/events.md has one row for {kind}");
        for field in golden::body(kind).as_object().unwrap().keys() {
            let at = ["step", "index", "attempt"].contains(&field.as_str()) && rows[0].contains("*at*");
            assert!(
                at || rows[0].contains(&format!("`{field}`")),
                "{kind} has {field:?}: {}",
                rows[0]
            );
        }
    }
    let rows = events.lines().filter(|line| {
        let kind = line.strip_prefix("| `").and_then(|rest| rest.split_once('`'));
        kind.is_some_and(|(kind, _)| kind.contains('.'))
    });
    assert_eq!(
        rows.count(),
        KINDS.len(),
        "docs/events.md has no row for a kind that is gone"
    );
}

#[test]
fn the_semantics_name_each_outcome() {
    use types::StepOutcome as S;
    let semantics = document("semantics.md");
    for outcome in [
        S::Succeeded,
        S::Degraded,
        S::Skipped,
        S::Omitted,
        S::NotRun,
        S::Cancelled,
        S::Failed,
    ] {
        assert!(semantics.contains(&format!("`{outcome}`")), "{outcome}");
    }
    assert!(semantics.contains("```mermaid"));
}
