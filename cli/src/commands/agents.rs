//! `firehall agents`

use clap::Args;
use sdk::{AgentState, AgentView};

use super::cordon::{self, Change};
use crate::{
    args::Remote,
    exit::{Done, Exit},
    out, table, text,
};

/// List agents, or offer one of them nothing new.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Examples:
  firehall agents
  firehall agents drain web-1 --wait
  firehall agents -o json | jq -r '.[] | select(.state == \"disconnected\") | .name'

Below the list stands which limits an agent's host does not hold a step to as a whole.

With -o json, an array of {id, name, version, state, labels, capacity, running, runtimes, runtime_offers, grants,
connections, last_seen, draining, drained, limits}. runtime_offers: by runtime what it can give on its host that not every one can."
)]
pub(crate) struct AgentsArgs {
    #[command(subcommand)]
    change: Option<Change>,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) async fn main(args: AgentsArgs) -> Done {
    if let Some(change) = args.change {
        return cordon::main(change).await;
    }
    let client = args.remote.connect().await?;
    let agents = client.agents().await?;
    if args.remote.json() {
        out::json(&agents)?;
    } else if agents.is_empty() {
        out::note("no agents");
    } else {
        let rows: Vec<Vec<String>> = agents.iter().map(row).collect();
        table::layout(
            &[
                "AGENT",
                "STATE",
                "RUNNING",
                "RUNTIMES",
                "LABELS",
                "GRANTS",
                "CONNECTIONS",
                "ID",
            ],
            &rows,
        )
        .iter()
        .try_for_each(|line| out::line(line))?;
        for agent in agents.iter().filter(|agent| !agent.limits.is_empty()) {
            let (name, limits) = (text::fit(&agent.name, 60), text::fit(&agent.limits, 1_000));
            out::note(&format!("{name}: {limits}"));
        }
    }
    Ok(Exit::Succeeded)
}

fn row(agent: &AgentView) -> Vec<String> {
    let state = match agent.state {
        AgentState::Connected if agent.drained => "drained",
        AgentState::Connected if agent.draining => "draining",
        AgentState::Connected => "connected",
        AgentState::Disconnected => "disconnected",
    };
    vec![
        agent.name.clone(),
        state.to_owned(),
        format!("{}/{}", agent.running, agent.capacity),
        agent.runtimes.join(" "),
        agent.labels.join(" "),
        agent.grants.join(" "),
        agent.connections.join(" "),
        agent.id.clone(),
    ]
}
