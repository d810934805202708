//! A run as plain lines: one for each event that matters to a person.

use sdk::{Body, Event, live::LiveRun};
use types::StepOutcome;

use crate::text;

/// The lines for an event; `run` has it folded already.
pub(crate) fn of(event: &Event, run: &LiveRun) -> Vec<String> {
    let Some(said) = said(event, run) else {
        return Vec::new();
    };
    let since = run.started_at.map_or(0, |start| event.at.since(start));
    let stamp = format!("{:>5}.{:03}", since / 1_000, since % 1_000);
    said.iter()
        .map(|line| format!("{stamp}  {}", text::line(line)))
        .collect()
}

fn said(event: &Event, run: &LiveRun) -> Option<Vec<String>> {
    let one = |text: String| Some(vec![text]);
    match &event.body {
        Body::RunStarted { .. } => one(format!("{} {} started", run.id, run.workflow)),
        Body::StepFannedOut { step, items } => one(format!("{step}: {} items", items.len())),
        Body::AttemptStarted { at } => {
            let (name, item) = (name(run, &at.step, at.index), item(run, &at.step, at.index)?);
            let again = if at.attempt > 1 {
                format!(" (try {})", at.attempt)
            } else {
                String::new()
            };
            one(format!(
                "{name} runs on {}{again}",
                item.agent.as_deref().unwrap_or("an agent")
            ))
        }
        Body::AttemptReturned { at, agent_crashes } => {
            let why = match agent_crashes {
                0 => String::new(),
                times => format!(": its agent crashed {times} times as it was about to start it"),
            };
            one(format!(
                "{} did not start{why}; it waits again",
                name(run, &at.step, at.index)
            ))
        }
        Body::AttemptLost { at } => one(format!(
            "{} is in doubt: it may have run, and nobody knows how it ended",
            name(run, &at.step, at.index)
        )),
        Body::AttemptSettled { at, resolution, by } => one(format!(
            "{} was decided as {resolution} by {by}",
            name(run, &at.step, at.index)
        )),
        Body::ArtifactStored { at, artifact } => one(format!(
            "{} left {}, {} bytes",
            name(run, &at.step, at.index),
            artifact.name,
            artifact.bytes
        )),
        Body::RetryScheduled { at, .. } => {
            let why = item(run, &at.step, at.index)
                .map(|item| item.reasons.join("; "))
                .unwrap_or_default();
            one(format!(
                "{} failed and is tried again: {why}",
                name(run, &at.step, at.index)
            ))
        }
        Body::ItemEnded {
            step,
            index,
            outcome,
            reasons,
        } => {
            let took = item(run, step, Some(*index)).and_then(|item| item.duration_ms);
            Some(ended(&name(run, step, Some(*index)), *outcome, reasons, took))
        }
        Body::StepEnded {
            step,
            outcome,
            reasons,
        } => {
            let live = run.step(step)?;
            let took = match live.items.as_slice() {
                [only] if !live.fans_out => only.duration_ms,
                _ => live.elapsed_ms(event.at),
            };
            // The items have said why already.
            let reasons = if live.fans_out && !live.items.is_empty() {
                &[]
            } else {
                reasons.as_slice()
            };
            Some(ended(step, *outcome, reasons, took))
        }
        Body::StepSkipped { step } => one(format!("{step} skipped")),
        Body::StepOmitted { step, because, ended } => one(format!("{step} omitted: {because} {ended}")),
        Body::StepNotRun { step } => one(format!("{step} not run")),
        Body::CancelRequested { by, reason } => one(format!("{by} asked to cancel: {reason}")),
        Body::RunEnded { outcome, reasons } => {
            let mut lines = vec![format!("{} {outcome}", run.id)];
            lines.extend(reasons.iter().map(|reason| match &reason.step {
                Some(step) => format!("  {step}: {}", reason.message),
                None => format!("  {}", reason.message),
            }));
            Some(lines)
        }
        _ => None,
    }
}

fn ended(name: &str, outcome: StepOutcome, reasons: &[String], took: Option<u64>) -> Vec<String> {
    let took = took
        .map(|ms| format!(" in {}", text::duration(ms)))
        .unwrap_or_default();
    let first = format!("{name} {outcome}{took}");
    std::iter::once(first)
        .chain(reasons.iter().map(|reason| format!("  {reason}")))
        .collect()
}

fn item<'a>(run: &'a LiveRun, step: &str, index: Option<u32>) -> Option<&'a sdk::live::LiveItem> {
    run.step(step)?.items.get(index.unwrap_or(0) as usize)
}

/// `host-checks[1] (api-02)`, or the step's key.
fn name(run: &LiveRun, step: &str, index: Option<u32>) -> String {
    let Some(index) = index else {
        return step.to_owned();
    };
    match item(run, step, Some(index)).and_then(|item| item.label.as_deref()) {
        Some(label) => format!("{step}[{index}] ({label})"),
        None => format!("{step}[{index}]"),
    }
}
