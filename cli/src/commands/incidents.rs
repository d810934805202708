//! `firehall incidents [INCIDENT]`

use clap::Args;
use incident::{IncidentEvent, What, timeline};
use sdk::{IncidentFilter, IncidentView};
use serde_json::Value;

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
    /// Only of this severity. Repeatable
    #[arg(long = "severity", value_parser = ["critical", "high", "medium", "low", "info", "unknown"])]
    severities: Vec<String>,
    /// Only from this source. Repeatable
    #[arg(long = "source", value_parser = ["datadog", "generic", "manual"])]
    sources: Vec<String>,
}

/// Incidents of one answer while some of them are not wanted.
const PAGE: u32 = 500;

impl ListArgs {
    fn narrows(&self) -> bool {
        !self.severities.is_empty() || !self.sources.is_empty()
    }

    fn wants(&self, one: &IncidentView) -> bool {
        (self.severities.is_empty() || self.severities.contains(&one.severity))
            && (self.sources.is_empty() || self.sources.contains(&one.source))
    }
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
                severities: Vec::new(),
                sources: Vec::new(),
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
    let known = incident.external_id.as_ref();
    let known = known
        .map(|id| format!(", there known as {}", text::line(id)))
        .unwrap_or_default();
    let alerts = if incident.alerts == 1 { "alert" } else { "alerts" };
    out::line(&format!(
        "from {}{known}, {} {alerts}",
        text::line(&incident.source),
        incident.alerts
    ))?;
    let events = events(&incident);
    let started = started(&events);
    for run in &incident.runs {
        let workflow = started.iter().find(|(id, _)| id == run);
        let workflow = workflow.map(|(_, name)| format!("  {name}")).unwrap_or_default();
        out::line(&format!("run {run}{workflow}"))?;
    }
    for moment in timeline(&events) {
        let (at, what) = (sdk::rfc3339(moment.at), text::fit(&moment.text, 160));
        out::line(&format!("{at}  {what}"))?;
    }
    if incident.history_left_out > 0 {
        let n = incident.history_left_out;
        out::note(&format!(
            "{n} events between them are left out: `firehall events --incident {}` has all",
            incident.id
        ));
    }
    Ok(Exit::Succeeded)
}

/// What has happened to it; nothing when a newer server writes what this program cannot read.
pub(super) fn events(incident: &IncidentView) -> Vec<IncidentEvent> {
    let mut history = incident
        .history
        .clone()
        .unwrap_or_else(|| Value::Array(Vec::new()));
    for event in history.as_array_mut().into_iter().flatten() {
        for instant in ["/at", "/what/body/alert/fired_at"] {
            let Some(at) = event.pointer_mut(instant) else {
                continue;
            };
            // The view has them as people read them.
            if let Some(Ok(read)) = at.as_str().map(str::parse::<jiff::Timestamp>) {
                *at = read.as_millisecond().into();
            }
        }
    }
    serde_json::from_value(history).unwrap_or_else(|error| {
        out::note(&format!("its history cannot be read by this version: {error}"));
        Vec::new()
    })
}

/// Its runs with their workflows.
pub(super) fn started(events: &[IncidentEvent]) -> Vec<(String, String)> {
    let run = |event: &IncidentEvent| match &event.what {
        What::RunStarted { run, .. } => Some((run.run.to_string(), run.workflow.clone())),
        _ => None,
    };
    events.iter().filter_map(run).collect()
}

pub(super) async fn list(args: ListArgs) -> Done {
    let client = args.remote.connect().await?;
    let limit = args.limit as usize;
    let mut incidents = Vec::new();
    let mut page_token = String::new();
    // The server knows the state; of the others a page may hold none that is wanted.
    loop {
        let filter = IncidentFilter {
            limit: if args.narrows() { PAGE } else { args.limit },
            state: args.state.clone().unwrap_or_default(),
            page_token,
        };
        let page = client.incidents_page(&filter).await?;
        incidents.extend(page.items.into_iter().filter(|one| args.wants(one)));
        match page.next {
            Some(next) if incidents.len() < limit => page_token = next,
            _ => break,
        }
    }
    incidents.truncate(limit);
    if args.remote.json() {
        out::json(&incidents)?;
    } else if incidents.is_empty() {
        out::note("no incidents");
    } else {
        let rows: Vec<Vec<String>> = incidents.iter().map(row).collect();
        table::layout(
            &["INCIDENT", "STATE", "SEVERITY", "OPENED", "ALERTS", "TITLE"],
            &rows,
        )
        .iter()
        .try_for_each(|line| out::line(line))?;
    }
    Ok(Exit::Succeeded)
}

fn row(one: &IncidentView) -> Vec<String> {
    vec![
        one.id.clone(),
        one.state.clone(),
        one.severity.clone(),
        one.opened_at.map(sdk::rfc3339).unwrap_or_default(),
        one.alerts.to_string(),
        text::fit(&one.title, 60),
    ]
}
