//! `firehall doctor`: what works here and what does not, each finding with what to do. What cannot be known from here is
//! said to be unknown, with the place to ask.

mod connections;
mod docker;
mod finding;
mod hardening;
mod host;
mod policy;
mod remote;
mod server;
mod slack;

use std::{collections::BTreeMap, path::PathBuf};

use ::agent::{AgentFile, hygiene};
use clap::Args;
use node::config::{Problem, Settings};
use sdk::Error;
use types::Secret;

use super::agent::VENDORS;
use crate::{
    args::Remote,
    entry,
    exit::{Done, Exit, Fault},
    out,
};
pub(crate) use docker::docker_here;
use finding::Report;

/// Say what works here and what does not, each with what to do.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Run it as the agent runs: as its user, with its environment. It starts a real container and reads from inside what of
the hardening is in force. It starts no run and posts nothing to Slack.

Examples:
  firehall doctor                                  this host, the server, Slack
  (set -a; . /etc/firehall/agent.env; firehall doctor --data-dir /var/lib/firehall-agent)
  firehall doctor --remote                         what the server finds too
  firehall doctor -o json | jq -r '.findings[] | select(.level == \"error\") | .help'

Exit code: 0 without an error (warnings and unknowns are none), 1 with one, 2 when --server is no server's URL, 4 when --remote
reaches no server.
With -o json: {version, errors, warnings, unknown, findings: [{check, level, message, help}]}; level is ok, warning, error
or unknown; help is null when there is nothing to do; the names of checks stay.")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    remote: Remote,
    /// Ask the server what it finds: its store, its disk, its agents, its workflows
    #[arg(long = "remote")]
    ask: bool,
    /// The data directory whose disk is looked at
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Slack's API elsewhere, the emulator's say: in place of SLACK_API_URL
    #[arg(long, value_name = "URL")]
    slack_api_url: Option<String>,
}

/// Runs before any thread: the vendors' secrets are taken as the agent takes them, and leave the environment.
pub(crate) fn main(args: DoctorArgs, files: &Settings) -> Done {
    let file = AgentFile::read(files, &VENDORS);
    let secrets = hygiene::take_secrets(&VENDORS).map_err(|error| {
        Fault::failed(format!(
            "the secrets cannot be taken from the environment: {error}"
        ))
    })?;
    entry::block_on(Box::pin(look(args, secrets, file)))
}

async fn look(
    args: DoctorArgs,
    secrets: BTreeMap<String, Secret>,
    file: Result<AgentFile, Vec<Problem>>,
) -> Done {
    let reached = args.remote.connect().await;
    if let Err(error @ Error::Url { .. }) = reached {
        return Err(error.into());
    }
    let mut report = Report::default();
    host::look(&mut report, args.data_dir.as_deref());
    hardening::look(&mut report).await;
    docker::look(&mut report).await;
    policy::look(&mut report, &file);
    let (client, bound) = match reached {
        Ok(client) => {
            let bound = server::look(&mut report, &client).await;
            (Some(client), bound)
        }
        Err(error) => {
            server::unreachable(&mut report, &error, args.ask);
            (None, None)
        }
    };
    slack::look(&mut report, &secrets, args.slack_api_url, bound.as_deref()).await;
    if let (true, Some(client)) = (args.ask, &client) {
        remote::look(&mut report, client).await;
    }
    report.print(args.remote.output())?;
    Ok(match (args.ask && client.is_none(), report.has_errors()) {
        (true, _) => Exit::Unreachable,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Succeeded,
    })
}

/// An error's own words, harmless.
fn said(error: &dyn std::fmt::Display) -> String {
    crate::text::line(&error.to_string()).into_owned()
}

impl Report {
    fn print(&self, format: out::Format) -> Result<(), Fault> {
        match format {
            out::Format::Json => out::json(&self.json()),
            out::Format::Table => self.table().iter().try_for_each(|line| out::line(line)),
            out::Format::Text => self
                .text(out::is_coloured())
                .iter()
                .try_for_each(|line| out::line(line)),
        }
    }
}
