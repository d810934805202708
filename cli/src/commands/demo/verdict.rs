//! Whether it went as it should: exactly degraded, for exactly the reason that the demo has built in.

use sdk::{RunView, StepState};
use serde_json::Value;
use types::{Alert, RunOutcome, StepOutcome};

use super::ending::step;

/// The demo's last word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// One honest line for the whole.
    pub(super) line: String,
    /// What was not expected.
    pub(super) unexpected: Vec<String>,
}

/// The step that must be degraded.
const RESOLVE: &str = "resolve-slack-users";
const INVESTIGATE: &str = "technical-investigation";

pub(super) fn of(run: &RunView, alert: &Alert) -> Verdict {
    of_with(run, alert, missing_pressure_files())
}

/// `unread`: how many of a host's readings this kernel does not give; they degrade the investigation, rightly.
pub(super) fn of_with(run: &RunView, alert: &Alert, unread: usize) -> Verdict {
    let people = people(run);
    let missing: Vec<&str> = people
        .iter()
        .filter(|(_, matched)| *matched == "missing")
        .map(|(who, _)| *who)
        .collect();
    let outcome = run.outcome.map_or("unfinished", RunOutcome::as_str);
    let absent = match missing.len() {
        1 => Some(format!(
            "1 of {} responders is not in the directory",
            people.len()
        )),
        0 => None,
        n => Some(format!(
            "{n} of {} responders are not in the directory",
            people.len()
        )),
    };
    let mut unexpected = Vec::new();
    if run.outcome != Some(RunOutcome::Degraded) {
        unexpected.push(format!("the run is {outcome}, not degraded"));
    }
    let wanted: Vec<&str> = super::RESPONDERS.last().copied().into_iter().collect();
    if missing != wanted || people.len() != super::RESPONDERS.len() {
        unexpected.push(format!(
            "not in the directory: {missing:?} of {}, expected {wanted:?}",
            people.len()
        ));
    }
    let mut others = Vec::new();
    for step in run
        .steps
        .iter()
        .filter(|step| step.state != StepState::Ended(StepOutcome::Succeeded))
    {
        let is = |outcome: StepOutcome| step.state == StepState::Ended(outcome);
        if step.key == RESOLVE && is(StepOutcome::Degraded) && step.reasons.len() == 1 {
            continue;
        }
        let why = step.reasons.join("; ");
        others.push(format!(
            "{} {}{}{why}",
            step.key,
            step.state.as_str(),
            if why.is_empty() { "" } else { ": " }
        ));
        let unread = unread * alert.hosts.len();
        let expected = unread > 0 && step.reasons == [format!("{unread} checks gave no reading")];
        if !(step.key == INVESTIGATE && is(StepOutcome::Degraded) && expected) {
            unexpected.push(format!("{} is {}", step.key, step.state.as_str()));
        }
    }
    if step(run, RESOLVE).is_none() {
        unexpected.push(format!("there was no step {RESOLVE}"));
    }
    let said: Vec<String> = absent.into_iter().chain(others).collect();
    let line = if said.is_empty() {
        outcome.to_owned()
    } else {
        format!("{outcome}: {}", said.join("; "))
    };
    Verdict {
        line: crate::text::line(&line).into_owned(),
        unexpected,
    }
}

/// Who was looked for, and how found.
fn people(run: &RunView) -> Vec<(&str, &str)> {
    let people = step(run, RESOLVE)
        .and_then(|step| step.outputs.get("people"))
        .and_then(Value::as_array);
    people
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|person| {
            let field = |name: &str| person.get(name).and_then(Value::as_str).unwrap_or_default();
            (field("query"), field("matched"))
        })
        .collect()
}

/// Readings that the kernel of this machine does not give.
fn missing_pressure_files() -> usize {
    let files = ["cpu", "memory", "io"].map(|kind| format!("/proc/pressure/{kind}"));
    files.iter().filter(|file| std::fs::read(file).is_err()).count()
}
