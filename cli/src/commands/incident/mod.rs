//! `firehall incident open|list|show`

mod open;

use clap::{Args, Subcommand};

use super::incidents;
use crate::exit::Done;

/// Open an incident by hand, list incidents, show one.
#[derive(Debug, Args)]
pub(crate) struct IncidentArgs {
    #[command(subcommand)]
    command: IncidentCommand,
}

#[derive(Debug, Subcommand)]
enum IncidentCommand {
    /// Open an incident: the bound workflows start as for an alert
    Open(open::OpenArgs),
    /// List incidents, newest first
    List(incidents::ListArgs),
    /// Show one incident
    Show(incidents::ShowArgs),
}

pub(crate) async fn main(args: IncidentArgs) -> Done {
    match args.command {
        IncidentCommand::Open(args) => open::main(args).await,
        IncidentCommand::List(args) => incidents::list(args).await,
        IncidentCommand::Show(args) => incidents::show(args).await,
    }
}
