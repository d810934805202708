//! `firehall rerun RUN`

use clap::Args;
use serde_json::json;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out,
};

/// Start a new run of the same plan, inputs and alert. What went well before is taken over, not done again.
#[derive(Debug, Args)]
#[command(
    after_long_help = "A new run of the same plan, inputs and alert. What went well before is taken over, not done again.

Examples:
  firehall rerun run_01jx… --watch                the steps that did not succeed
  firehall rerun run_01jx… --from room            this one and what depends on it

With -o json: {id, rerun_of}."
)]
pub(crate) struct RerunArgs {
    #[command(flatten)]
    remote: Remote,
    /// The run to repeat; it must have ended
    run: String,
    /// Run this step and what depends on it again; without any, the steps that did not succeed. Repeatable
    #[arg(long, value_name = "STEP")]
    from: Vec<String>,
    /// Follow the new run to its end; the exit code tells its outcome
    #[arg(short, long)]
    watch: bool,
    /// Same key and request within 7 days: the same run
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    idempotency_key: String,
}

pub(crate) async fn main(args: RerunArgs) -> Done {
    let client = args.remote.connect().await?;
    let run = client.rerun(&args.run, &args.from, &args.idempotency_key).await?;
    if args.watch {
        return super::watch::follow(&client, &run, args.remote.output()).await;
    }
    if args.remote.json() {
        out::json(&json!({ "id": run, "rerun_of": args.run }))?;
    } else {
        out::line(&run)?;
    }
    Ok(Exit::Succeeded)
}
