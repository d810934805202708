//! `firehall runs`

mod follow;
mod list;

use clap::{Args, ValueEnum};
use sdk::{RunFilter, RunView};
use serde::Serialize;
use types::{RunOutcome, Timestamp};

use crate::{args::Remote, exit::Done, text, when};

/// List runs, newest first.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall runs                                       the newest 50
  firehall runs --live                                those that have not ended
  firehall runs --outcome failed,degraded --since 24h
  firehall runs --all -o json | jq -r '.[] | select(.outcome == \"failed\") | .id'
  firehall runs --watch                               go on as they change

With -o json: an array of {id, workflow, outcome, started_at, finished_at}; outcome and finished_at are null while a run
is live, instants are RFC 3339 in UTC. With --watch it is one such object a line for each run that is new or changed.")]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    remote: Remote,
    /// How many on a page, 500 at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    workflow: String,
    /// Only runs that ended like this. Repeatable
    #[arg(long, value_enum, value_delimiter = ',', value_name = "OUTCOME")]
    outcome: Vec<Outcome>,
    /// Only runs that have not ended
    #[arg(long)]
    live: bool,
    /// Only runs of this incident
    #[arg(long, value_name = "INCIDENT", default_value = "", hide_default_value = true)]
    incident: String,
    /// Only runs that started then or later: 2026-11-25, 2026-11-25T08:00:00Z, or 2h for two hours ago
    #[arg(long, value_parser = when::instant, value_name = "WHEN")]
    since: Option<Timestamp>,
    /// Only runs that started before
    #[arg(long, value_parser = when::instant, value_name = "WHEN")]
    until: Option<Timestamp>,
    /// The page after one that was printed, with the same filters
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page: String,
    /// All pages, one after the other
    #[arg(long, conflicts_with = "page")]
    all: bool,
    /// Go on as runs begin and end, until Ctrl-C
    #[arg(short, long, conflicts_with_all = ["page", "all"])]
    watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Outcome {
    Succeeded,
    Degraded,
    Failed,
    Cancelled,
}

impl From<Outcome> for RunOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Degraded => Self::Degraded,
            Outcome::Failed => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

pub(crate) async fn main(args: RunsArgs) -> Done {
    let filter = RunFilter {
        limit: args.limit,
        workflow: args.workflow,
        outcomes: args.outcome.into_iter().map(RunOutcome::from).collect(),
        live: args.live,
        incident: args.incident,
        from: args.since,
        before: args.until,
        page_token: args.page,
    };
    let client = args.remote.connect().await?;
    if args.watch {
        follow::main(&client, filter, args.remote.output()).await
    } else {
        list::main(&client, filter, args.all, args.remote.json()).await
    }
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

const HEADING: [&str; 5] = ["RUN", "WORKFLOW", "OUTCOME", "STARTED", "TOOK"];

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
    let started = run.started_at.map(text::instant).unwrap_or_default();
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
