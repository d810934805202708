//! `firehall incident open`

use clap::{Args, Subcommand};
use sdk::OpenIncident;
use serde_json::{Map, Value};

use super::incidents;
use crate::{
    args::Remote,
    exit::{Done, Exit, Fault},
    input, out,
};

/// Open an incident by hand, list incidents, show one.
#[derive(Debug, Args)]
pub(crate) struct IncidentArgs {
    #[command(subcommand)]
    command: IncidentCommand,
}

#[derive(Debug, Subcommand)]
enum IncidentCommand {
    /// Open an incident: the bound workflows start as for an alert
    Open(OpenArgs),
    /// List incidents, newest first
    List(incidents::ListArgs),
    /// Show one incident
    Show(incidents::ShowArgs),
}

#[derive(Debug, Args)]
struct OpenArgs {
    #[command(flatten)]
    remote: Remote,
    /// The id under which people know it; an open incident of this id is joined
    #[arg(long, default_value = "", hide_default_value = true)]
    id: String,
    /// What has happened, in a line
    #[arg(long)]
    title: String,
    /// How bad it is
    #[arg(long, value_parser = ["critical", "high", "medium", "low", "info"])]
    severity: String,
    /// What is known
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// Whom to call: the input `responders` of the bound workflows
    #[arg(long, value_delimiter = ',', value_name = "A,B,…")]
    users: Vec<String>,
    /// The room's: the input `privacy` of the bound workflows
    #[arg(long, value_parser = ["public", "private", "auto"])]
    channel_privacy: Option<String>,
    /// A tag, `key=value` or plain. Repeatable
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Another input of the bound workflows; lists, maps, numbers and truths as JSON. Repeatable
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// An exercise: the alert is tagged and its title says so
    #[arg(long)]
    test: bool,
    /// Same key and request within 7 days: the same answer
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    idempotency_key: String,
}

pub(crate) async fn main(args: IncidentArgs) -> Done {
    match args.command {
        IncidentCommand::Open(args) => open(args).await,
        IncidentCommand::List(args) => incidents::list(args).await,
        IncidentCommand::Show(args) => incidents::show(args).await,
    }
}

async fn open(args: OpenArgs) -> Done {
    let inputs = inputs(&args)?;
    let client = args.remote.connect().await?;
    let opened = client
        .open_incident(OpenIncident {
            external_id: args.id,
            title: args.title,
            severity: args.severity,
            description: args.description,
            tags: args.tags,
            inputs,
            test: args.test,
            idempotency_key: args.idempotency_key,
        })
        .await?;
    if args.remote.json() {
        out::json(&opened)?;
        return Ok(Exit::Succeeded);
    }
    let how = if opened.opened {
        ""
    } else {
        "  (joined: it was open)"
    };
    out::line(&format!("{}{how}", opened.incident))?;
    for run in &opened.runs {
        out::line(&format!("run {run}"))?;
    }
    if opened.opened && opened.runs.is_empty() {
        out::note(
            "no workflow is bound to it: nothing was started (`firehall put incident-response` binds one)",
        );
    }
    Ok(Exit::Succeeded)
}

fn inputs(args: &OpenArgs) -> Result<Map<String, Value>, Fault> {
    let mut inputs = input::typed(&args.inputs, None)?;
    if args.users.iter().any(|user| user.trim().is_empty()) {
        return Err(Fault::usage("--users: an empty name between two commas"));
    }
    let users = (!args.users.is_empty()).then(|| Value::from(args.users.clone()));
    let privacy = args.channel_privacy.clone().map(Value::from);
    for (flag, name, value) in [
        ("--users", "responders", users),
        ("--channel-privacy", "privacy", privacy),
    ] {
        if let Some(value) = value
            && inputs.insert(name.to_owned(), value).is_some()
        {
            return Err(Fault::usage(format!(
                "{flag} and --input {name}: give one of them"
            )));
        }
    }
    Ok(inputs)
}
