//! `firehall runs`

use clap::Args;
use sdk::RunView;
use serde::Serialize;
use types::RunOutcome;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out, table, text,
};

/// List runs, newest first.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    remote: Remote,
    /// How many, 500 at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only runs older than this one
    #[arg(long, value_name = "RUN", default_value = "", hide_default_value = true)]
    before: String,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    workflow: String,
}

pub(crate) async fn main(args: RunsArgs) -> Done {
    let client = args.remote.connect().await?;
    let runs = client.list_runs(args.limit, &args.before, &args.workflow).await?;
    if args.remote.json() {
        out::json(&runs.iter().map(brief).collect::<Vec<_>>())?;
    } else if runs.is_empty() {
        out::note("no runs");
    } else {
        let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
        table::layout(&["RUN", "WORKFLOW", "OUTCOME", "STARTED", "TOOK"], &rows)
            .iter()
            .try_for_each(|line| out::line(line))?;
    }
    Ok(Exit::Succeeded)
}

/// The promised form: these five names, and `outcome` null while live.
#[derive(Debug, Serialize)]
struct Brief<'a> {
    id: &'a str,
    workflow: &'a str,
    outcome: Option<RunOutcome>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

fn brief(run: &RunView) -> Brief<'_> {
    Brief {
        id: &run.id,
        workflow: &run.workflow,
        outcome: run.outcome,
        started_at: run.started_at.map(sdk::rfc3339),
        finished_at: run.finished_at.map(sdk::rfc3339),
    }
}

fn row(run: &RunView) -> Vec<String> {
    let outcome = match run.outcome {
        Some(outcome) => outcome.to_string(),
        None if run.cancel_requested => "being cancelled".to_owned(),
        None => "running".to_owned(),
    };
    let took = match (run.started_at, run.finished_at) {
        (Some(start), Some(end)) => text::duration(end.since(start)),
        _ => String::new(),
    };
    let started = run.started_at.map(sdk::rfc3339).unwrap_or_default();
    vec![run.id.clone(), run.workflow.clone(), outcome, started, took]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_json_form_is_the_promised_one() {
        let wire = proto::v1::Run {
            id: "run_1".into(),
            workflow: "w".into(),
            outcome: 2,
            started_at_ms: 1_000,
            finished_at_ms: 2_005,
            ..Default::default()
        };
        let mut run = RunView::from_wire(wire).unwrap();
        let expected = json!({"id": "run_1", "workflow": "w", "outcome": "degraded",
            "started_at": "1970-01-01T00:00:01.000Z", "finished_at": "1970-01-01T00:00:02.005Z"});
        let json = |run: &RunView| serde_json::to_value(brief(run)).unwrap();
        assert_eq!(json(&run), expected);
        (run.outcome, run.finished_at) = (None, None);
        assert_eq!(
            (&json(&run)["outcome"], &json(&run)["finished_at"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(row(&run)[2], "running");
    }
}
