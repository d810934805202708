//! `firehall workflows`

use clap::Args;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out, table,
};

/// List kept workflows, or print the source of one.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall workflows
  firehall workflows incident-response > incident-response.yaml

With -o json, an array of {name, version, stored_at}; with a name {name, version, stored_at, source, plan}.")]
pub(crate) struct WorkflowsArgs {
    #[command(flatten)]
    remote: Remote,
    /// Print this one's source
    name: Option<String>,
    /// A version of it; the newest when not given
    #[arg(long, requires = "name", default_value = "", hide_default_value = true)]
    version: String,
}

pub(crate) async fn main(args: WorkflowsArgs) -> Done {
    let client = args.remote.connect().await?;
    if let Some(name) = &args.name {
        let workflow = client.workflow(name, &args.version).await?;
        if args.remote.json() {
            out::json(&workflow)?;
        } else {
            out::bytes(workflow.source.as_bytes())?;
        }
        return Ok(Exit::Succeeded);
    }
    let workflows = client.list_workflows().await?;
    if args.remote.json() {
        out::json(&workflows)?;
    } else if workflows.is_empty() {
        out::note("no workflows");
    } else {
        let rows: Vec<Vec<String>> = workflows
            .iter()
            .map(|one| {
                let stored = one.stored_at.map(sdk::rfc3339).unwrap_or_default();
                vec![one.name.clone(), one.version.chars().take(12).collect(), stored]
            })
            .collect();
        table::layout(&["WORKFLOW", "VERSION", "STORED"], &rows)
            .iter()
            .try_for_each(|line| out::line(line))?;
    }
    Ok(Exit::Succeeded)
}
