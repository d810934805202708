//! The command line. Every flag that a process needs at its start can come from the environment too.

use std::{path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::{
    commands,
    out::{Colour, Format},
};

/// Firehall: from an alert to a staffed war room with findings.
#[derive(Debug, Parser)]
#[command(name = "firehall", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
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
    /// Write a new workflow from a template
    New(commands::new::NewArgs),
    /// Check definitions without a server
    Check(commands::check::CheckArgs),
    /// Say what a run would do, before it does anything
    Plan(commands::plan::PlanArgs),
    /// Print a definition's graph of steps as JSON, for Graphviz or for Mermaid
    Compile(commands::compile::CompileArgs),
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
    /// List what the steps of a run left, or get one of them
    Artifacts(commands::artifacts::ArtifactsArgs),
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
    /// Copy a server's databases, also while it runs
    Backup(commands::backup::BackupArgs),
    /// Make a server's data directory of a backup
    Restore(commands::backup::RestoreArgs),
    /// List, load, fetch and remove images of an agent on this host
    Images(commands::images::ImagesArgs),
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
    /// How alerts come in, and what is understood of one
    Sources(commands::sources::SourcesArgs),
    /// The whole path on real input, on this machine, with one command
    Demo(commands::demo::DemoArgs),
    /// Say what works here and what does not, each with what to do
    Doctor(commands::doctor::DoctorArgs),
    /// Print a shell's completion script
    Completions(commands::completions::CompletionsArgs),
    /// Print docs/cli.md, or docs/agent-toml.md
    #[command(hide = true)]
    Reference(commands::reference::ReferenceArgs),
    /// A vendor's API, faked with state
    #[command(hide = true)]
    Emulator(commands::emulator::EmulatorArgs),
}

/// What every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Colours: on a terminal, always, or never
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        env = "FIREHALL_COLOR",
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub(crate) color: Colour,
    /// The same as --color never
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_color: bool,
    /// One more configuration file, laid over /etc/firehall/config.toml and ~/.config/firehall/config.toml
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        env = "FIREHALL_CONFIG",
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_config: bool,
    /// Print each setting and where it comes from, and do nothing else; `-o json` for programs
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) print_config: bool,
}

/// Where the server is, and how long to wait for it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// The server's URL
    #[arg(long, env = "FIREHALL_SERVER", help_heading = "Server options", default_value = DEFAULT_SERVER, value_name = "URL")]
    server: String,
    /// How long to wait for a connection
    #[arg(long, env = "FIREHALL_CONNECT_TIMEOUT", help_heading = "Server options", default_value = "3s", value_parser = duration, value_name = "DURATION")]
    connect_timeout: Duration,
    /// How long to wait for one answer of the server
    #[arg(long, env = "FIREHALL_TIMEOUT", help_heading = "Server options", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    timeout: Duration,
    /// How long to wait for a server that goes away while something is followed
    #[arg(long, env = "FIREHALL_AWAY_TIMEOUT", help_heading = "Server options", default_value = "2m", value_parser = duration, value_name = "DURATION")]
    away_timeout: Duration,
}

/// What every client command takes that answers once.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    #[command(flatten)]
    at: Connection,
    #[command(flatten)]
    form: Form,
}

/// How an answer is written.
#[derive(Debug, Clone, Args)]
pub(crate) struct Form {
    /// Output for people or for programs
    #[arg(
        short,
        long,
        value_enum,
        env = "FIREHALL_OUTPUT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub(crate) output: Format,
}

/// Where `firehall dev` listens by default.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7911";

impl Connection {
    pub(crate) async fn connect(&self) -> Result<sdk::Client, sdk::Error> {
        let timeouts = sdk::Timeouts {
            connect: self.connect_timeout,
            call: self.timeout,
            away: self.away_timeout,
        };
        sdk::Client::connect_within(&self.server, timeouts).await
    }
}

/// A duration such as `500ms`, `3s` or `1h30m`; longer than zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = "expected a duration such as 500ms, 3s or 1h30m";
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong.to_owned())?;
    Duration::try_from(parsed)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{wrong}, longer than zero"))
}

impl Remote {
    pub(crate) async fn connect(&self) -> Result<sdk::Client, sdk::Error> {
        self.at.connect().await
    }

    /// How long a server that went away is waited for.
    pub(crate) const fn away(&self) -> Duration {
        self.at.away_timeout
    }

    pub(crate) fn output(&self) -> Format {
        self.form.output
    }

    pub(crate) fn json(&self) -> bool {
        self.form.output == Format::Json
    }
}

/// The command line as it is shown: what an environment variable holds is nobody's business but its owner's.
pub(crate) fn command() -> clap::Command {
    fn hide(command: clap::Command) -> clap::Command {
        command
            .mut_args(|arg| arg.hide_env_values(true))
            .mut_subcommands(hide)
    }
    hide(Cli::command())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
