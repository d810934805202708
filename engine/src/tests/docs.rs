//! The documents name what there is.

use std::{collections::BTreeSet, fs, sync::LazyLock};

use types::{RunOutcome, StepOutcome};

use super::golden;
use crate::{Phase, Run, history::KINDS};

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

/// The ways of the picture under a heading of docs/semantics.md, the beginning and the end left out.
fn drawn(heading: &str) -> BTreeSet<(String, String)> {
    let semantics = document("semantics.md");
    let section = semantics
        .split("\n## ")
        .find(|section| section.starts_with(heading));
    let ways = section.unwrap().lines().filter_map(|line| {
        let (from, rest) = line.trim().split_once(" --> ")?;
        let to = rest.split(':').next()?.trim();
        (from != "[*]" && to != "[*]").then(|| (from.to_owned(), to.to_owned()))
    });
    ways.collect()
}

static OF_A_RUN: LazyLock<BTreeSet<(String, String)>> = LazyLock::new(|| drawn("A run"));
static OF_A_STEP: LazyLock<BTreeSet<(String, String)>> = LazyLock::new(|| drawn("A step"));

fn run_state(run: &Run) -> String {
    match (&run.ended, &run.cancel) {
        (Some(ended), _) => ended.outcome.to_string(),
        (None, Some(_)) => "cancelling".to_owned(),
        (None, None) => "running".to_owned(),
    }
}

fn step_state(phase: Phase) -> String {
    match phase {
        Phase::Waiting => "waiting".to_owned(),
        Phase::Active => "active".to_owned(),
        Phase::Ended(outcome) => outcome.to_string(),
    }
}

/// Whatever a test of the engine does, runs and steps go the ways of the pictures only.
pub(super) fn went_a_drawn_way(before: &Run, after: &Run) {
    let went = |from: String, to: String, drawn: &BTreeSet<(String, String)>| {
        assert!(
            from == to || drawn.contains(&(from.clone(), to.clone())),
            "{from} --> {to} is not drawn"
        );
    };
    went(run_state(before), run_state(after), &OF_A_RUN);
    for (before, after) in before.steps.iter().zip(&after.steps) {
        // What a repetition takes over ends at once.
        if after.reused_from.is_none() {
            went(step_state(before.phase), step_state(after.phase), &OF_A_STEP);
        }
    }
}

#[test]
fn the_pictures_have_each_state() {
    let states = |ways: &BTreeSet<(String, String)>| -> BTreeSet<String> {
        ways.iter()
            .flat_map(|(from, to)| [from.clone(), to.clone()])
            .collect()
    };
    let with = |words: [&str; 2], outcomes: Vec<String>| {
        words.map(str::to_owned).into_iter().chain(outcomes).collect()
    };
    let runs: BTreeSet<String> = with(
        ["running", "cancelling"],
        [
            RunOutcome::Succeeded,
            RunOutcome::Degraded,
            RunOutcome::Cancelled,
            RunOutcome::Failed,
        ]
        .map(|one| one.to_string())
        .into(),
    );
    assert_eq!(states(&OF_A_RUN), runs);
    let steps: BTreeSet<String> = with(["waiting", "active"], OUTCOMES.map(|one| one.to_string()).into());
    assert_eq!(states(&OF_A_STEP), steps);
}

const OUTCOMES: [StepOutcome; 7] = [
    StepOutcome::Succeeded,
    StepOutcome::Degraded,
    StepOutcome::Skipped,
    StepOutcome::Omitted,
    StepOutcome::NotRun,
    StepOutcome::Cancelled,
    StepOutcome::Failed,
];

#[test]
fn the_semantics_name_each_outcome() {
    let semantics = document("semantics.md");
    for outcome in OUTCOMES {
        assert!(semantics.contains(&format!("`{outcome}`")), "{outcome}");
    }
}
