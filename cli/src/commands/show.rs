//! `firehall show RUN`

use clap::Args;
use sdk::{RunView, StepState, StepView};
use types::StepOutcome as O;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out, table, text,
};

/// Show one run with its steps.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall show run_01jx…
  firehall show run_01jx… --outputs
  firehall show run_01jx… -o json | jq '.steps[] | {key, state, reasons}'

With -o json: {id, workflow, outcome, started_at, finished_at, reasons, incident, cancel_requested, seq, rerun_of, steps};
a step is {key, what, state, reasons, needs, started_at, finished_at, attempts, outputs, items, reused_from, waits_for}.")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    remote: Remote,
    /// The run's id
    run: String,
    /// Print the steps' outputs too (`-o json` always does)
    #[arg(long)]
    outputs: bool,
}

pub(crate) async fn main(args: ShowArgs) -> Done {
    let client = args.remote.connect().await?;
    let run = client.run(&args.run).await?;
    if args.remote.json() {
        out::json(&run)?;
        return Ok(Exit::Succeeded);
    }
    head(&run)?;
    for line in steps(&run) {
        out::line(&line)?;
    }
    for why in whys(&run) {
        out::line(&format!("why: {}", text::line(&why)))?;
    }
    for line in images(&run) {
        out::line(&format!("image: {}", text::line(&line)))?;
    }
    for line in services(&run) {
        out::line(&format!("service: {}", text::line(&line)))?;
    }
    if args.outputs {
        for step in run.steps.iter().filter(|step| !step.outputs.is_empty()) {
            out::line(&format!("\n{}:", text::line(&step.key)))?;
            out::json(&step.outputs)?;
        }
    }
    Ok(Exit::Succeeded)
}

/// Why the run is not succeeded, or stands still, each reason with its step.
///
/// The server gives the run's reasons without their steps, but in the steps' order and in the steps' words: so each is
/// found again in what is left of the steps' own. What is no step's, a cancel say, is told as it is.
fn whys(run: &RunView) -> Vec<String> {
    let mut own = run
        .steps
        .iter()
        .flat_map(own_reasons)
        .collect::<Vec<_>>()
        .into_iter();
    let of_run = run.reasons.iter().map(|reason| {
        let rest = own.as_slice();
        match rest.iter().position(|(_, why)| why == reason) {
            Some(at) => own
                .nth(at)
                .map_or_else(|| reason.clone(), |(key, _)| format!("{key}: {reason}")),
            None => reason.clone(),
        }
    });
    let of_run: Vec<String> = of_run.collect();
    let in_doubt = run.steps.iter().filter(|step| step.state == StepState::InDoubt);
    let doubts = in_doubt.flat_map(|step| step.reasons.iter().map(|why| format!("{}: {why}", step.key)));
    of_run.into_iter().chain(doubts).collect()
}

/// A step's reasons as a run's end has them: without any, the word for what the step makes of the run.
fn own_reasons(step: &StepView) -> Vec<(&str, &str)> {
    let StepState::Ended(outcome) = &step.state else {
        return Vec::new();
    };
    let reasons = || step.reasons.iter().map(|why| (step.key.as_str(), why.as_str()));
    match outcome {
        O::Failed if step.reasons.is_empty() => vec![(&step.key, "failed"), (&step.key, "degraded")],
        O::Degraded if step.reasons.is_empty() => vec![(&step.key, "degraded")],
        O::Failed | O::Degraded | O::Cancelled => reasons().collect(),
        O::Succeeded | O::Skipped | O::Omitted | O::NotRun => Vec::new(),
    }
}

fn head(run: &RunView) -> Result<(), crate::exit::Fault> {
    let outcome = run.outcome.map_or("running", types::RunOutcome::as_str);
    let cancel = if run.outcome.is_none() && run.cancel_requested {
        " (being cancelled)"
    } else {
        ""
    };
    out::line(&format!(
        "{}  {}  {outcome}{cancel}",
        run.id,
        text::line(&run.workflow)
    ))?;
    if let Some(start) = run.started_at {
        let end = run
            .finished_at
            .map(|end| format!(", took {}", text::duration(end.since(start))));
        out::line(&format!(
            "started {}{}",
            sdk::rfc3339(start),
            end.unwrap_or_default()
        ))?;
    }
    if let Some(incident) = &run.incident {
        out::line(&format!("incident {incident}"))?;
    }
    out::line("")
}

/// One row for each try, or for a step without any.
pub(crate) fn steps(run: &RunView) -> Vec<String> {
    let rows: Vec<Vec<String>> = run.steps.iter().flat_map(rows).collect();
    table::layout(&["STEP", "STATE", "AGENT", "MS", "WHAT", "WHY"], &rows)
}

fn rows(step: &StepView) -> Vec<Vec<String>> {
    let own = || {
        let waits = step.waits_for.iter().map(|what| format!("waits for {what}"));
        let why: Vec<String> = step.reasons.iter().cloned().chain(waits).collect();
        let why = why.join("; ");
        vec![
            step.key.clone(),
            step.state.as_str().to_owned(),
            String::new(),
            String::new(),
            step.what.clone(),
            why,
        ]
    };
    match step.attempts.as_slice() {
        [] => vec![own()],
        [only] if only.index.is_none() => {
            let mut row = own();
            row[2] = only.agent.clone().unwrap_or_default();
            row[3] = took(only);
            if row[5].is_empty() {
                row[5] = only.message.clone().unwrap_or_default();
            }
            vec![row]
        }
        attempts => {
            let tries = attempts.iter().map(|attempt| {
                let index = attempt
                    .index
                    .map(|index| format!("[{index}]"))
                    .unwrap_or_default();
                vec![
                    format!("  {}{index}#{}", step.key, attempt.attempt),
                    attempt.state.as_str().to_owned(),
                    attempt.agent.clone().unwrap_or_default(),
                    took(attempt),
                    String::new(),
                    attempt.message.clone().unwrap_or_default(),
                ]
            });
            std::iter::once(own()).chain(tries).collect()
        }
    }
}

/// Which images ran, once for each step and digest.
fn images(run: &RunView) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &run.steps {
        for digest in step
            .attempts
            .iter()
            .filter_map(|attempt| attempt.image_digest.as_ref())
        {
            let line = format!("{}: {digest}", step.key);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// What became of services, a line for each of each try.
fn services(run: &RunView) -> Vec<String> {
    let tries = run
        .steps
        .iter()
        .flat_map(|step| step.attempts.iter().map(move |attempt| (step, attempt)));
    let lines = tries.flat_map(|(step, attempt)| {
        attempt.services.iter().map(move |service| {
            let index = attempt
                .index
                .map(|index| format!("[{index}]"))
                .unwrap_or_default();
            let ready = service.ready_ms.map(|ms| format!("ready after {ms} ms"));
            let told: Vec<String> = ready.into_iter().chain(service.ended.clone()).collect();
            let told = if told.is_empty() {
                "began".to_owned()
            } else {
                told.join("; ")
            };
            let image = service
                .image_digest
                .as_ref()
                .map_or_else(String::new, |digest| format!("; image {digest}"));
            let name = &service.name;
            format!("{}{index}#{} {name}: {told}{image}", step.key, attempt.attempt)
        })
    });
    lines.collect()
}

fn took(attempt: &sdk::AttemptView) -> String {
    // Without a report nobody knows how long it ran: a verdict has a message and no duration.
    let unknown = attempt.duration_ms == 0 && attempt.message.is_some();
    if attempt.finished_at.is_some() && attempt.started_at.is_some() && !unknown {
        attempt.duration_ms.to_string()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proto::v1;

    use super::*;

    fn step(key: &str, state: &str, reasons: &[&str]) -> v1::Step {
        v1::Step {
            key: key.into(),
            state: state.into(),
            reasons: reasons.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }
    }

    fn run(reasons: &[&str], steps: Vec<v1::Step>) -> RunView {
        RunView::from_wire(v1::Run {
            reasons: reasons.iter().map(ToString::to_string).collect(),
            steps,
            ..Default::default()
        })
        .unwrap()
    }

    #[test]
    fn each_reason_has_its_step_and_what_is_of_none_is_as_it_is() {
        let steps = vec![
            step("fine", "succeeded", &["exit code 7"]),
            step("big", "failed", &["exit code 7"]),
            step("allowed", "failed", &[]),
            step(
                "also",
                "failed",
                &["exit code 7", "12 bytes of values left out here"],
            ),
            step("last", "degraded", &["half of it"]),
        ];
        let of_run = [
            "cancelled by ann",
            "exit code 7",
            "degraded",
            "exit code 7",
            "half of it",
            "and 3 more",
        ];
        assert_eq!(
            whys(&run(&of_run, steps)),
            [
                "cancelled by ann",
                "big: exit code 7",
                "allowed: degraded",
                "also: exit code 7",
                "last: half of it",
                "and 3 more"
            ]
        );
    }

    #[test]
    fn a_step_in_doubt_says_in_full_what_to_do() {
        let why =
            "may have run, and nobody knows how it ended; decide with `firehall resolve RUN only --as x`";
        let run = run(
            &[],
            vec![step("only", "in_doubt", &[why]), step("next", "waiting", &[])],
        );
        assert_eq!(whys(&run), [format!("only: {why}")]);
    }

    #[test]
    fn a_step_that_stands_still_says_what_it_waits_for() {
        let attempt = v1::Attempt {
            attempt: 1,
            state: "queued".into(),
            ..Default::default()
        };
        let queued = v1::Step {
            attempts: vec![attempt],
            waits_for: "an agent: no agent fits: no label host=nowhere (3 of 3)".into(),
            ..step("only", "queued", &[])
        };
        let lines = steps(&run(&[], vec![queued]));
        assert!(lines[1].contains("only  queued"), "{lines:?}");
        assert!(
            lines[1].ends_with("waits for an agent: no agent fits: no label host=nowhere (3 of 3)"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_verdict_is_told_and_has_no_duration() {
        let attempt = v1::Attempt {
            attempt: 1,
            state: "succeeded".into(),
            started_at_ms: 5,
            finished_at_ms: 9_000,
            message: "lost: may have run; decided: succeeded".into(),
            ..Default::default()
        };
        let decided = v1::Step {
            attempts: vec![attempt],
            ..step("only", "succeeded", &[])
        };
        let lines = steps(&run(&[], vec![decided]));
        assert!(
            lines[1].ends_with("lost: may have run; decided: succeeded"),
            "{lines:?}"
        );
        assert!(!lines[1].contains(" 0 "), "{lines:?}");
    }
}
