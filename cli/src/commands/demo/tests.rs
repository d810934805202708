#![allow(clippy::unwrap_used, reason = "tests")]
//! The demo's last word must not be better than what happened.

use proto::v1;
use sdk::RunView;
use serde_json::json;
use types::Alert;

use super::{RESPONDERS, SAMPLE, understand, verdict};

fn alert() -> Alert {
    understand(SAMPLE.as_bytes()).unwrap()
}

/// A run as the demo expects it, with changes.
fn run(change: impl FnOnce(&mut v1::Run)) -> RunView {
    let people: Vec<_> = RESPONDERS
        .iter()
        .map(|who| json!({"query": who, "matched": if who.starts_with("jonas") { "missing" } else { "email" }}))
        .collect();
    let step = |key: &str, state: &str| v1::Step {
        key: key.into(),
        state: state.into(),
        ..Default::default()
    };
    let mut wire = v1::Run {
        outcome: v1::Outcome::Degraded.into(),
        steps: vec![
            v1::Step {
                reasons: vec!["1 of 4 responders is not in the directory: jonas.weber@company.com".into()],
                outputs_json: json!({ "people": people }).to_string(),
                ..step("resolve-slack-users", "degraded")
            },
            step("create-war-room", "succeeded"),
            step("technical-investigation", "succeeded"),
        ],
        ..Default::default()
    };
    change(&mut wire);
    RunView::from_wire(wire).unwrap()
}

#[test]
fn the_sample_is_an_alert_with_three_hosts() {
    let alert = alert();
    assert_eq!(alert.hosts.len(), 3);
    assert!(alert.hosts.iter().all(|host| types::is_host_label(host)));
    assert_eq!(alert.id, "DATADOG-20260114-0417");
}

#[test]
fn the_expected_end_is_told_in_one_line() {
    let verdict = verdict::of_with(&run(|_| {}), &alert(), 0);
    assert_eq!(
        verdict.line,
        "degraded: 1 of 4 responders is not in the directory"
    );
    assert_eq!(verdict.unexpected, Vec::<String>::new());
}

#[test]
fn any_other_end_is_unexpected() {
    type Change = fn(&mut v1::Run);
    let changes: [(&str, Change); 6] = [
        ("succeeded", |run| run.outcome = v1::Outcome::Succeeded.into()),
        ("failed", |run| run.outcome = v1::Outcome::Failed.into()),
        ("another step", |run| run.steps[1].state = "degraded".into()),
        ("a second reason", |run| {
            run.steps[0].reasons.push("ambiguous".into())
        }),
        ("nobody is missing", |run| {
            run.steps[0].outputs_json = r#"{"people":[]}"#.into()
        }),
        ("a step is gone", |run| drop(run.steps.remove(0))),
    ];
    for (what, change) in changes {
        assert!(
            !verdict::of_with(&run(change), &alert(), 0).unexpected.is_empty(),
            "{what}"
        );
    }
}

#[test]
fn a_kernel_without_pressure_is_expected_to_say_so_and_nothing_else() {
    let silent = |count: usize| {
        run(move |run| {
            run.steps[2].state = "degraded".into();
            run.steps[2].reasons = vec![format!("{count} checks gave no reading")];
        })
    };
    let verdict = verdict::of_with(&silent(9), &alert(), 3);
    assert_eq!(verdict.unexpected, Vec::<String>::new());
    assert!(
        verdict
            .line
            .ends_with("technical-investigation degraded: 9 checks gave no reading"),
        "{verdict:?}"
    );
    assert!(!verdict::of_with(&silent(9), &alert(), 0).unexpected.is_empty());
    assert!(!verdict::of_with(&silent(12), &alert(), 3).unexpected.is_empty());
}
