//! `firehall sources list`

use clap::Args;
use sdk::SourceView;

use super::Remote;
use crate::{
    exit::{Done, Exit},
    out, table,
};

/// The ways in, with what came in since the server began.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn main(args: ListArgs) -> Done {
    let sources = args.remote.connect().await?.sources().await?;
    if args.remote.json() {
        out::json(&sources)?;
        return Ok(Exit::Succeeded);
    }
    let rows: Vec<Vec<String>> = sources.iter().map(row).collect();
    let heading = [
        "SOURCE",
        "PATH",
        "SECRET",
        "ACCEPTED",
        "REFUSED",
        "LAST",
        "MAY START",
        "LAST REFUSAL",
    ];
    table::layout(&heading, &rows)
        .iter()
        .try_for_each(|line| out::line(line))?;
    Ok(Exit::Succeeded)
}

fn row(source: &SourceView) -> Vec<String> {
    vec![
        source.name.clone(),
        source.path.clone(),
        if source.secret_required {
            "required"
        } else {
            "none"
        }
        .to_owned(),
        source.accepted.to_string(),
        source.refused.to_string(),
        source.last_accepted.map(sdk::rfc3339).unwrap_or_default(),
        source.bound_workflows.join(" "),
        source.last_refusal.clone().unwrap_or_default(),
    ]
}
