//! `firehall resolve RUN STEP --as …`

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out,
};

/// Decide about a step in doubt: it may have run, and nobody knows how it ended.
#[derive(Debug, Args)]
#[command(
    after_long_help = "A step is in doubt when it may have run and nobody knows how it ended. Look first, then say what it counts as.

Examples:
  firehall resolve run_01jx… deploy --as succeeded
  firehall resolve run_01jx… checks --index 2 --as rerun

With -o json: {id, step, index, verdict}."
)]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    remote: Remote,
    /// The run's id
    run: String,
    /// The step's key
    step: String,
    /// What it counts as
    #[arg(long = "as", value_enum)]
    verdict: Verdict,
    /// The item of a fan-out, from 0
    #[arg(long)]
    index: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verdict {
    /// Run it again
    Rerun,
    /// It did what it should
    Succeeded,
    /// It did not
    Failed,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rerun => "rerun",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

pub(crate) async fn main(args: ResolveArgs) -> Done {
    let client = args.remote.connect().await?;
    let verdict = args.verdict.as_str();
    client.resolve(&args.run, &args.step, args.index, verdict).await?;
    if args.remote.json() {
        out::json(&json!({ "id": args.run, "step": args.step, "index": args.index, "verdict": verdict }))?;
    } else {
        out::line(&format!("{} of {}: {verdict}", args.step, args.run))?;
    }
    Ok(Exit::Succeeded)
}
