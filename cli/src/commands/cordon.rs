//! `firehall agents drain|cordon|uncordon AGENT`

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use sdk::{AgentState, AgentView, Client, Error};

use crate::{
    args::{Remote, duration},
    exit::{Done, Exit, Fault},
    out, text,
};

/// How often the server is asked what still runs.
const LOOK: Duration = Duration::from_millis(500);
/// Looks in a row at which nothing runs: an offer that was decided before the drain is in the list by the second.
const QUIET: u32 = 2;

/// What is done to an agent.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Offer it nothing new, and wait with --wait until what it runs has ended
    Drain(DrainArgs),
    /// Offer it nothing new; what it runs goes on
    Cordon(CordonArgs),
    /// Offer it work again
    Uncordon(UncordonArgs),
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "It lasts over restarts of both sides, until `firehall agents uncordon`.

Examples:
  firehall agents drain web-1 --reason \"kernel upgrade\" --wait && ssh web-1 reboot
  firehall agents drain web-1 --wait --within 10m

With -o json: the agent, as `firehall agents -o json` has it. With --wait, 1 when something still runs after --within; it
stays drained."
)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    remote: Remote,
    /// The agent's name or id
    agent: String,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Come back once nothing runs there any more
    #[arg(long)]
    wait: bool,
    /// The longest wait
    #[arg(long, default_value = "1h", value_parser = duration, value_name = "DURATION", requires = "wait")]
    within: Duration,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "What it runs goes on. It lasts over restarts of both sides, until `firehall agents uncordon`.

Examples:
  firehall agents cordon web-1 --reason \"disk looks bad\"

With -o json: the agent, as `firehall agents -o json` has it."
)]
pub(crate) struct CordonArgs {
    #[command(flatten)]
    remote: Remote,
    /// The agent's name or id
    agent: String,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall agents uncordon web-1

With -o json: the agent, as `firehall agents -o json` has it.")]
pub(crate) struct UncordonArgs {
    #[command(flatten)]
    remote: Remote,
    /// The agent's name or id
    agent: String,
}

pub(crate) async fn main(change: Change) -> Done {
    match change {
        Change::Drain(args) => drain(args).await,
        Change::Cordon(args) => cordon(args).await,
        Change::Uncordon(args) => {
            let client = args.remote.connect().await?;
            let agent = client.drain_agent(&args.agent, true, "").await?;
            told(&args.remote, &agent, "takes work again")
        }
    }
}

async fn cordon(args: CordonArgs) -> Done {
    let client = args.remote.connect().await?;
    let agent = client.drain_agent(&args.agent, false, &args.reason).await?;
    told(&args.remote, &agent, &still(&agent))
}

async fn drain(args: DrainArgs) -> Done {
    let client = args.remote.connect().await?;
    let mut agent = client.drain_agent(&args.agent, false, &args.reason).await?;
    if !args.wait {
        return told(&args.remote, &agent, &still(&agent));
    }
    agent = quiet(&client, &args, agent).await?;
    told(&args.remote, &agent, "is drained: nothing runs there")
}

/// Waits until nothing runs there.
async fn quiet(client: &Client, args: &DrainArgs, mut agent: AgentView) -> Result<AgentView, Fault> {
    let (begun, mut heard) = (Instant::now(), Instant::now());
    let (mut looks, mut said) = (0, None);
    loop {
        if !agent.draining {
            let name = text::line(&agent.name).into_owned();
            return Err(Fault::failed(format!(
                "{name} takes work again: somebody undid the drain"
            )));
        }
        looks = if agent.running == 0 { looks + 1 } else { 0 };
        if looks >= QUIET {
            return Ok(agent);
        }
        if agent.running > 0 && said != Some((agent.running, agent.state)) {
            said = Some((agent.running, agent.state));
            out::note(&format!("{} {}", text::line(&agent.name), still(&agent)));
        }
        if begun.elapsed() >= args.within {
            let (name, within) = (text::line(&agent.name), args.within);
            return Err(Fault::failed(format!(
                "{name} {} after {within:?}; it stays drained",
                still(&agent)
            )));
        }
        tokio::time::sleep(LOOK).await;
        match client.agents().await {
            Ok(agents) => {
                heard = Instant::now();
                let found = agents.into_iter().find(|one| one.id == agent.id);
                agent = found.ok_or_else(|| {
                    Fault::failed(format!("the server knows no agent {} any more", agent.id))
                })?;
            }
            // A server that is restarted meanwhile keeps the drain.
            Err(Error::Unreachable { .. }) if heard.elapsed() < args.remote.away() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn still(agent: &AgentView) -> String {
    let runs = match agent.running {
        0 => "nothing runs there".to_owned(),
        1 => "1 attempt still runs there".to_owned(),
        n => format!("{n} attempts still run there"),
    };
    match agent.state {
        AgentState::Connected => format!("is draining: {runs}"),
        AgentState::Disconnected => {
            format!("is disconnected and draining: {runs}, as far as the server knows")
        }
    }
}

fn told(remote: &Remote, agent: &AgentView, what: &str) -> Done {
    if remote.json() {
        out::json(agent)?;
    } else {
        out::line(&format!("{} {what}", text::line(&agent.name)))?;
    }
    Ok(Exit::Succeeded)
}
