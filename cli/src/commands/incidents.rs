//! `firehall incidents [INCIDENT]`

use clap::Args;
use sdk::IncidentFilter;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out, table, text,
};

/// List incidents, newest first, or show one.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall incidents
  firehall incidents inc_01jx… -o json

With -o json, an array of {id, state, title, severity, source, opened_at, resolved_at, alerts, runs, external_id}; with an
id one of them, with its history.")]
pub(crate) struct IncidentsArgs {
    #[command(flatten)]
    remote: Remote,
    /// One incident's id
    incident: Option<String>,
    /// How many, 500 at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

/// List incidents.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    remote: Remote,
    /// How many, 500 at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only open or only resolved ones
    #[arg(long, value_parser = ["open", "resolved"])]
    state: Option<String>,
}

/// Show one incident.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    remote: Remote,
    /// The incident's id
    incident: String,
}

pub(crate) async fn main(args: IncidentsArgs) -> Done {
    let IncidentsArgs {
        remote,
        incident,
        limit,
    } = args;
    match incident {
        Some(incident) => show(ShowArgs { remote, incident }).await,
        None => {
            list(ListArgs {
                remote,
                limit,
                state: None,
            })
            .await
        }
    }
}

pub(super) async fn show(args: ShowArgs) -> Done {
    let client = args.remote.connect().await?;
    let incident = client.incident(&args.incident).await?;
    if args.remote.json() {
        out::json(&incident)?;
        return Ok(Exit::Succeeded);
    }
    out::line(&format!(
        "{}  {}  {}",
        incident.id, incident.state, incident.severity
    ))?;
    out::line(&text::line(&incident.title))?;
    out::line(&format!(
        "from {}, {} alerts",
        text::line(&incident.source),
        incident.alerts
    ))?;
    for run in &incident.runs {
        out::line(&format!("run {run}"))?;
    }
    Ok(Exit::Succeeded)
}

pub(super) async fn list(args: ListArgs) -> Done {
    let client = args.remote.connect().await?;
    let filter = IncidentFilter {
        limit: args.limit,
        state: args.state.unwrap_or_default(),
        ..IncidentFilter::default()
    };
    let incidents = client.incidents_page(&filter).await?.items;
    if args.remote.json() {
        out::json(&incidents)?;
    } else if incidents.is_empty() {
        out::note("no incidents");
    } else {
        let rows: Vec<Vec<String>> = incidents
            .iter()
            .map(|one| {
                let opened = one.opened_at.map(sdk::rfc3339).unwrap_or_default();
                let title = text::fit(&one.title, 60);
                vec![
                    one.id.clone(),
                    one.state.clone(),
                    one.severity.clone(),
                    opened,
                    one.alerts.to_string(),
                    title,
                ]
            })
            .collect();
        table::layout(
            &["INCIDENT", "STATE", "SEVERITY", "OPENED", "ALERTS", "TITLE"],
            &rows,
        )
        .iter()
        .try_for_each(|line| out::line(line))?;
    }
    Ok(Exit::Succeeded)
}
