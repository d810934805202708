//! `firehall drain AGENT`

use clap::Args;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out, text,
};

/// Offer an agent nothing new; what it runs goes on. It lasts over restarts, until `--undo`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "What it runs goes on. It lasts over restarts, until --undo.

Examples:
  firehall drain web-1 --reason \"kernel upgrade\"
  firehall drain web-1 --undo

With -o json: the agent, as `firehall agents -o json` has it."
)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    remote: Remote,
    /// The agent's name or id
    agent: String,
    /// Offer it work again
    #[arg(long)]
    undo: bool,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn main(args: DrainArgs) -> Done {
    let client = args.remote.connect().await?;
    let agent = client.drain_agent(&args.agent, args.undo, &args.reason).await?;
    if args.remote.json() {
        out::json(&agent)?;
        return Ok(Exit::Succeeded);
    }
    let name = text::line(&agent.name);
    out::line(&if agent.draining {
        format!("{name} is draining: {} attempts still run there", agent.running)
    } else {
        format!("{name} takes work again")
    })?;
    Ok(Exit::Succeeded)
}
