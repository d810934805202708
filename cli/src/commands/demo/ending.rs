//! The demo's end: the room as a responder sees it, the table of the steps, and how long it took.

use sdk::{RunView, StepView};
use serde_json::Value;

use super::wire::Posted;
use crate::{exit::Fault, live, out, table, text};

/// WAR_ROOM, when there is one.
pub(super) fn war_room(run: &RunView) -> Option<&Value> {
    step(run, "create-war-room")?.outputs.get("room")
}

pub(super) fn step<'a>(run: &'a RunView, key: &str) -> Option<&'a StepView> {
    run.steps.iter().find(|step| step.key == key)
}

pub(super) fn tell(run: &RunView, room: Option<&Value>, posted: &Posted) -> Result<(), Fault> {
    out::line("\nthe war room, as a responder sees it\n")?;
    match (room, war_room(run)) {
        (Some(channel), _) => {
            let width = live::size().0.min(110) - 2;
            for line in emulators::slack::render(channel, width) {
                out::line(format!("  {line}").trim_end())?;
            }
        }
        (None, Some(room)) => {
            let field = |name: &str| text::line(room[name].as_str().unwrap_or_default()).into_owned();
            out::line(&format!("  #{}  {}", field("name"), field("link")))?;
        }
        (None, None) => out::line("  there is none")?,
    }
    out::line("\nthe steps\n")?;
    let rows: Vec<Vec<String>> = run.steps.iter().map(row).collect();
    for line in table::layout(&["STEP", "RAN", "AGENT", "OUTCOME", "MS"], &rows) {
        out::line(&format!("  {line}"))?;
    }
    out::line("")?;
    for (what, key) in [("staffed", "create-war-room"), ("summary", "final-summary")] {
        match since_webhook(run, key, posted) {
            Some(ms) => out::line(&format!("webhook -> {what} in {ms} ms"))?,
            None => out::line(&format!("webhook -> {what}: {key} has not ended well"))?,
        }
    }
    Ok(())
}

/// Milliseconds from the request until the step had its outputs; both clocks are this machine's.
fn since_webhook(run: &RunView, key: &str, posted: &Posted) -> Option<i64> {
    let step = step(run, key).filter(|step| !step.outputs.is_empty())?;
    Some(step.finished_at?.unix_ms() - posted.sent_at_ms)
}

fn row(step: &StepView) -> Vec<String> {
    let mut agents: Vec<&str> = Vec::new();
    for agent in step
        .attempts
        .iter()
        .filter_map(|attempt| attempt.agent.as_deref())
    {
        if !agents.contains(&agent) {
            agents.push(agent);
        }
    }
    let items = step
        .attempts
        .iter()
        .filter(|attempt| attempt.index.is_some())
        .count();
    let ran = match items {
        0 => step.what.clone(),
        n => format!("{n} x {}", step.what),
    };
    let took = match step.attempts.as_slice() {
        [only] if only.index.is_none() => Some(only.duration_ms),
        _ => step
            .started_at
            .zip(step.finished_at)
            .map(|(start, end)| end.since(start)),
    };
    let took = took.map(|ms| ms.to_string()).unwrap_or_default();
    vec![
        step.key.clone(),
        ran,
        agents.join(", "),
        step.state.as_str().to_owned(),
        took,
    ]
}
