//! `firehall show RUN`

use clap::Args;
use sdk::{RunView, StepView};

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out, table, text,
};

/// Show one run with its steps.
#[derive(Debug, Args)]
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
    for reason in &run.reasons {
        out::line(&format!("why: {}", text::line(reason)))?;
    }
    if args.outputs {
        for step in run.steps.iter().filter(|step| !step.outputs.is_empty()) {
            out::line(&format!("\n{}:", text::line(&step.key)))?;
            out::json(&step.outputs)?;
        }
    }
    Ok(Exit::Succeeded)
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
        let why = step.reasons.join("; ");
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

fn took(attempt: &sdk::AttemptView) -> String {
    if attempt.finished_at.is_some() && attempt.started_at.is_some() {
        attempt.duration_ms.to_string()
    } else {
        String::new()
    }
}
