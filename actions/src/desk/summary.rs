//! `incident/summary`: FINAL_SUMMARY, a fold of the run's own record; never better than it.

use async_trait::async_trait;
use incident::Investigation;
use serde::{Deserialize, Serialize};
use types::{Match, Object, Person, RunRecord, Signature, StepRecord, Trust, Type, WarRoom};

use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, json, optional, output, read, required, signature},
};

pub(crate) struct Summary;

#[derive(Deserialize)]
struct Params {
    run: RunRecord,
    room: Option<WarRoom>,
    people: Option<Vec<Person>>,
    investigation: Option<Investigation>,
}

#[derive(Debug, Serialize)]
struct Report {
    outcome: String,
    lines: Vec<String>,
    reasons: Vec<String>,
    elapsed_ms: u64,
    steps: Vec<StepLine>,
}

#[derive(Debug, Serialize)]
struct StepLine {
    key: String,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    attempts: usize,
}

fn report_type() -> Type {
    let step = Type::record(
        "step_summary",
        [
            ("key", Type::String),
            ("outcome", Type::String),
            ("duration_ms?", Type::Int),
            ("attempts", Type::Int),
        ],
    );
    Type::record(
        "summary",
        [
            ("outcome", Type::String),
            ("lines", Type::list(Type::String)),
            ("reasons", Type::list(Type::String)),
            ("elapsed_ms", Type::Int),
            ("steps", Type::list(step)),
        ],
    )
}

#[async_trait]
impl Action for Summary {
    fn signature(&self) -> Signature {
        signature(
            "incident/summary",
            "Folds the run's own record: what was done, what was not and why, how long each step took.",
            [
                (
                    "run",
                    required(
                        RunRecord::ty(),
                        Trust::Untrusted,
                        "The run's record: `${{ run }}`.",
                    ),
                ),
                (
                    "room",
                    optional(
                        WarRoom::ty(),
                        Trust::Untrusted,
                        None,
                        "The war room, where there is one.",
                    ),
                ),
                (
                    "people",
                    optional(
                        Type::list(Person::ty()),
                        Trust::Untrusted,
                        None,
                        "Who was looked for.",
                    ),
                ),
                (
                    "investigation",
                    optional(
                        Investigation::ty(),
                        Trust::Untrusted,
                        None,
                        "What was found, where something was.",
                    ),
                ),
            ],
            [(
                "summary",
                gives(report_type(), Trust::Untrusted, "FINAL_SUMMARY."),
            )],
        )
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let report = report(&context.step, read(params)?);
        for line in &report.lines {
            context.log.line(line).await;
        }
        Ok(output([("summary", json(&report)?)], Vec::new()))
    }
}

/// The summary's own step is not part of what it sums up: it has not ended.
fn report(own: &str, params: Params) -> Report {
    let Params {
        run,
        room,
        people,
        investigation,
    } = params;
    let steps: Vec<&StepRecord> = run.steps.iter().filter(|step| step.key != own).collect();
    let outcome = worst(&run.outcome, &steps);
    let mut lines = vec![
        format!("{}: {} after {}", run.workflow, outcome, duration(run.elapsed_ms)),
        counts(&steps),
    ];
    lines.extend(room.as_ref().map(room_line));
    lines.extend(people.as_deref().map(people_line));
    // What was not given is not known here: no line says that there was nothing.
    lines.extend(investigation.map(|found| format!("findings: {}", found.conclusion)));
    lines.extend(run.reasons.iter().map(|reason| format!("{outcome}: {reason}")));
    for step in steps
        .iter()
        .filter(|step| !matches!(step.outcome.as_str(), "succeeded" | "skipped"))
    {
        let new = step
            .reasons
            .iter()
            .filter(|reason| !run.reasons.iter().any(|known| known.contains(*reason)));
        let why: Vec<&str> = new.map(String::as_str).collect();
        if !why.is_empty() || step.reasons.is_empty() {
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(": {}", why.join("; "))
            };
            lines.push(format!("{} {}{why}", step.key, step.outcome));
        }
    }
    let steps = steps.into_iter().map(|step| StepLine {
        key: step.key.clone(),
        outcome: step.outcome.clone(),
        duration_ms: step.duration_ms,
        attempts: step.attempts.len(),
    });
    Report {
        outcome,
        lines,
        steps: steps.collect(),
        reasons: run.reasons,
        elapsed_ms: run.elapsed_ms,
    }
}

/// The worse of the record's outcome and what its steps allow.
fn worst(outcome: &str, steps: &[&StepRecord]) -> String {
    const ORDER: [&str; 4] = ["succeeded", "degraded", "cancelled", "failed"];
    // What is still going on has its own line below; it is no reason yet.
    let fine = |step: &&&StepRecord| {
        matches!(
            step.outcome.as_str(),
            "succeeded" | "skipped" | "running" | "queued" | "waiting"
        )
    };
    let at_least = steps.iter().any(|step| !fine(&step));
    match ORDER.iter().position(|word| *word == outcome) {
        Some(0) if at_least => "degraded".to_owned(),
        // A word that we do not know is shown as it is: it cannot be made better.
        _ => outcome.to_owned(),
    }
}

fn counts(steps: &[&StepRecord]) -> String {
    let mut words: Vec<(&str, usize)> = Vec::new();
    for step in steps {
        match words.iter_mut().find(|(word, _)| *word == step.outcome) {
            Some((_, count)) => *count += 1,
            None => words.push((&step.outcome, 1)),
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    format!("{} steps: {}", steps.len(), words.join(", "))
}

fn room_line(room: &WarRoom) -> String {
    let refused = room
        .invited
        .iter()
        .filter(|invitation| invitation.refused.is_some())
        .count();
    let kind = if room.private { "private" } else { "public" };
    let there = room.invited.len() - refused;
    let link = room
        .link
        .as_deref()
        .map(|link| format!(" {link}"))
        .unwrap_or_default();
    format!(
        "war room #{} ({kind}): {there} of {} people in{link}",
        room.name,
        room.invited.len()
    )
}

fn people_line(people: &[Person]) -> String {
    let found = people
        .iter()
        .filter(|p| !matches!(p.matched, Match::Missing | Match::Ambiguous))
        .count();
    format!("responders: {found} of {} found", people.len())
}

fn duration(ms: u64) -> String {
    if ms < 1_000 {
        format!("{ms} ms")
    } else {
        format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::{Value, json};

    use super::*;

    fn of(outcome: &str, steps: Value, reasons: Value) -> Report {
        let run = json!({"id": "run_1", "workflow": "w", "started_at": 1, "elapsed_ms": 1_250, "outcome": outcome,
            "reasons": reasons, "steps": steps});
        report("final", serde_json::from_value(json!({"run": run})).unwrap())
    }

    fn step(key: &str, outcome: &str) -> Value {
        json!({"key": key, "outcome": outcome, "reasons": [], "duration_ms": 5, "attempts": []})
    }

    #[test]
    fn it_is_never_better_than_its_parts() {
        for (record, part, expected) in [
            ("succeeded", "succeeded", "succeeded"),
            ("succeeded", "skipped", "succeeded"),
            ("succeeded", "failed", "degraded"),
            ("succeeded", "degraded", "degraded"),
            ("succeeded", "omitted", "degraded"),
            ("succeeded", "running", "succeeded"),
            ("succeeded", "in_doubt", "degraded"),
            ("failed", "succeeded", "failed"),
            ("cancelled", "succeeded", "cancelled"),
            ("degraded", "failed", "degraded"),
        ] {
            assert_eq!(
                of(record, json!([step("a", part)]), json!([])).outcome,
                expected,
                "{record} {part}"
            );
        }
    }

    #[test]
    fn it_tells_counts_times_and_reasons_and_leaves_itself_out() {
        let report = of(
            "degraded",
            json!([
                step("a", "succeeded"),
                step("b", "failed"),
                step("final", "running")
            ]),
            json!(["b failed: exit 1"]),
        );
        assert_eq!(report.lines[0], "w: degraded after 1.2 s");
        assert_eq!(report.lines[1], "2 steps: 1 succeeded, 1 failed");
        assert!(
            report.lines.contains(&"degraded: b failed: exit 1".to_owned()),
            "{:?}",
            report.lines
        );
        assert_eq!(report.steps.len(), 2);
        report_type()
            .check(&serde_json::to_value(&report).unwrap())
            .unwrap();
    }
}
