//! `firehall watch RUN`

use clap::Args;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    live, out,
};

/// Follow one run to its end; the exit code tells its outcome.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The exit code is the run's outcome: 0 succeeded, 3 degraded, 1 failed or cancelled. Ctrl-C is 130, and the run goes on.
In a terminal a tree that redraws itself; elsewhere a line for each event that matters.

Examples:
  firehall watch run_01jx…
  firehall watch run_01jx… -o json | jq -c 'select(.kind == \"step.ended\")'

With -o json, a line for each event: {run, seq, at, kind, body}."
)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    remote: Remote,
    /// The run's id
    run: String,
}

pub(crate) async fn main(args: WatchArgs) -> Done {
    let client = args.remote.connect().await?;
    follow(&client, &args.run, args.remote.output()).await
}

/// Follows a run and turns its outcome into an exit code.
pub(crate) async fn follow(client: &sdk::Client, run: &str, format: out::Format) -> Done {
    let live = live::follow(client, run, format).await?;
    Ok(live.ended.map_or(Exit::Failed, |end| end.outcome.into()))
}
