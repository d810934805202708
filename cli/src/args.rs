//! The command line. Every flag that a process needs at its start can come from the environment too.

use clap::{Args, Parser, Subcommand};

use crate::{commands, out::Format};

/// Firehall: from an alert to a staffed war room with findings.
#[derive(Debug, Parser)]
#[command(name = "firehall", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the control plane: gRPC, webhooks and pages on one port
    Server(commands::server::ServerArgs),
    /// Run an agent: executes steps near the hosts
    Agent(commands::agent::AgentArgs),
    /// Run a server and an agent in one process, with the shipped runbooks
    Dev(commands::dev::DevArgs),
    /// Check definitions without a server
    Check(commands::check::CheckArgs),
    /// Say what a diagnostic's code means
    Explain(commands::explain::ExplainArgs),
    /// Start a run of a definition's file or of a kept workflow
    Run(commands::run::RunArgs),
    /// List runs, newest first
    Runs(commands::runs::RunsArgs),
    /// Show one run
    Show(commands::show::ShowArgs),
    /// Follow one run to its end
    Watch(commands::watch::WatchArgs),
    /// Print what steps wrote, unchanged
    Logs(commands::logs::LogsArgs),
    /// Ask for a run's end
    Cancel(commands::cancel::CancelArgs),
    /// Decide about a step that may have run
    Resolve(commands::resolve::ResolveArgs),
    /// Repeat a run from where it went wrong
    Rerun(commands::rerun::RerunArgs),
    /// List agents
    Agents(commands::agents::AgentsArgs),
    /// Follow what happens on a server, as JSON Lines
    Events(commands::events::EventsArgs),
    /// Offer an agent nothing new, or undo that
    Drain(commands::drain::DrainArgs),
    /// Open an incident by hand; list and show incidents
    Incident(commands::incident::IncidentArgs),
    /// List incidents, or show one
    Incidents(commands::incidents::IncidentsArgs),
    /// List the built-in actions with their parameters and outputs
    Actions(commands::actions::ActionsArgs),
    /// List kept workflows
    Workflows(commands::workflows::WorkflowsArgs),
    /// Keep a definition under its name
    Put(commands::put::PutArgs),
    /// How alerts come in, by vendor
    Sources(commands::sources::SourcesArgs),
    /// The whole path on real input, on this machine, with one command
    Demo(commands::demo::DemoArgs),
    /// A vendor's API, faked with state
    #[command(hide = true)]
    Emulator(commands::emulator::EmulatorArgs),
}

/// What every client command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// The server's URL
    #[arg(long, env = "FIREHALL_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    pub(crate) server: String,
    /// Output for people or for programs
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Format,
}

/// Where `firehall dev` listens by default.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7911";

impl Remote {
    pub(crate) async fn connect(&self) -> Result<sdk::Client, sdk::Error> {
        sdk::Client::connect(&self.server).await
    }

    pub(crate) fn json(&self) -> bool {
        self.output == Format::Json
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
