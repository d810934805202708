//! `firehall cancel RUN`

use clap::Args;
use serde_json::json;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out,
};

/// Ask for a run's end. It is durable at once; the run ends when every step is confirmed gone.
#[derive(Debug, Args)]
#[command(
    after_long_help = "It is durable at once; the run ends when every step is confirmed gone.

Examples:
  firehall cancel run_01jx… --reason \"the wrong host\"

With -o json: {id, accepted}; accepted is false when the run had ended already."
)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    remote: Remote,
    /// The run's id
    run: String,
    /// Why, for the history
    #[arg(long, default_value = "cancelled from the command line")]
    reason: String,
}

pub(crate) async fn main(args: CancelArgs) -> Done {
    let client = args.remote.connect().await?;
    let accepted = client.cancel(&args.run, &args.reason).await?;
    if args.remote.json() {
        out::json(&json!({ "id": args.run, "accepted": accepted }))?;
    } else if accepted {
        out::line(&format!("{} is being cancelled", args.run))?;
    } else {
        out::line(&format!("{} had ended already; nothing changed", args.run))?;
    }
    Ok(Exit::Succeeded)
}
