//! `firehall dev`: a server and an agent in one process, for one machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ::agent::Grant;
use clap::Args;
use node::config::Settings;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use types::{HostView, Label};

use super::{
    agent::{self, Taken, WhatArgs},
    server,
};
use crate::{
    entry,
    exit::{Done, Exit, Fault},
    local, out,
    process::{self, Lifetime},
    telemetry::{self, LogArgs},
};

/// Run a server and an agent in one process.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The agent grants host-view:proc and network:host, what the shipped runbooks need, and has the label host=HOSTNAME.

Examples:
  firehall dev --data-dir /tmp/firehall
  SLACK_BOT_TOKEN=xoxb-… firehall dev --data-dir d --workflows ./workflows"
)]
pub(crate) struct DevArgs {
    /// Where to listen; loopback only
    #[arg(
        long,
        env = "FIREHALL_LISTEN",
        default_value = "127.0.0.1:7911",
        value_name = "ADDR"
    )]
    listen: SocketAddr,
    /// Where everything lives; made when it is not there
    #[arg(long, env = "FIREHALL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Definitions to begin with, in place of the shipped runbooks, when the store holds none
    #[arg(long, env = "FIREHALL_WORKFLOWS", value_name = "DIR")]
    workflows: Option<PathBuf>,
    /// What steps may have beside what the shipped runbooks need: net:127.0.0.1/32, say, for `http/request`
    #[arg(long, env = "FIREHALL_ALLOW", value_name = "GRANTS", value_delimiter = ',')]
    allow: Vec<Grant>,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    lifetime: Lifetime,
}

pub(crate) fn main(args: DevArgs, files: &Settings) -> Done {
    let taken = Taken::take(&args.what, files)?;
    telemetry::init(&args.log)?;
    if !args.listen.ip().is_loopback() {
        return Err(
            Fault::usage(format!("dev listens on loopback only, not on {}", args.listen))
                .hint("run `firehall server` and `firehall agent` for more than one machine"),
        );
    }
    entry::block_on(Box::pin(both(args, taken)))
}

async fn both(mut args: DevArgs, taken: Taken) -> Done {
    let host = agent::hostname()?;
    args.what.add_label(Label {
        key: "host".to_owned(),
        value: host.clone(),
    });
    server::make_private(&args.data_dir)?;
    let config = ::server::Config {
        listen: args.listen,
        insecure: false,
        webhook_secret: None,
        catalogue: ::actions::Registry::builtin().catalogue(),
        seed: seed(args.workflows.as_deref())?,
        healthy_with_agents: 1,
        artifacts: Some(server::artifacts(
            None,
            &args.data_dir.join("server"),
            BTreeMap::new(),
        )?),
        public_hosts: Vec::new(),
        black_box: Some(args.data_dir.join("server")),
    };
    let store = server::open(&args.data_dir.join("server")).await?;
    let asked = process::shutdown_on_signals(args.lifetime)?;
    // The agent goes first, then the server: what it reports at its end is still heard.
    let (stop_agent, stop_server) = (asked.child_token(), CancellationToken::new());
    let (told, address) = oneshot::channel();
    let ready = move |address| {
        if let Err(fault) = out::line(&process::listening(address)) {
            tracing::warn!("{fault}");
        }
        // Gone only when the agent's part has failed already.
        let _gone = told.send(address);
    };
    let served = async {
        let served = ::server::run(config, store, stop_server.clone(), ready)
            .await
            .map_err(server::fault);
        stop_agent.cancel();
        served
    };
    let working = async {
        match address.await {
            Ok(address) => {
                let (data, url) = (args.data_dir.join("agent"), format!("http://{address}"));
                let config = taken.config(&args.what, url, data, Some(host), grants(&args.allow))?;
                ::agent::run(config, stop_agent.clone())
                    .await
                    .map_err(agent::fault)
            }
            // The server did not come up and says why itself.
            Err(_) => Ok(()),
        }
    };
    let worked = async {
        let worked = Box::pin(working).await;
        stop_server.cancel();
        worked
    };
    let (served, worked) = tokio::join!(served, worked);
    served.and(worked)?;
    Ok(Exit::Succeeded)
}

/// What the shipped runbooks need, and what is asked for.
fn grants(asked: &[Grant]) -> BTreeSet<Grant> {
    let needed = [Grant::HostView(HostView::Proc), Grant::HostNetwork];
    needed.into_iter().chain(asked.iter().copied()).collect()
}

/// The definitions of a directory by name, or the shipped ones.
fn seed(dir: Option<&Path>) -> Result<Vec<(String, String)>, Fault> {
    let Some(dir) = dir else {
        return Ok(runbooks::ALL
            .iter()
            .map(|(name, source)| (format!("{name}.yaml"), (*source).to_owned()))
            .collect());
    };
    let failed = |error: std::io::Error| Fault::usage(format!("--workflows: {error}"));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs_err::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let known = path
            .extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| ["yaml", "yml", "json"].contains(&e));
        // An action's file is no workflow: its folder comes along with those that use it.
        let action = path.to_str().is_some_and(local::is_action);
        if known && !action && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Fault::usage(format!(
            "--workflows {}: no .yaml, .yml or .json file in it",
            dir.display()
        )));
    }
    files
        .into_iter()
        .map(|path| {
            let name = path.display().to_string();
            local::definition(&name).map(|source| (name, source))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_directory_is_taken_in_order_and_an_empty_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(seed(Some(dir.path())).is_err());
        for (name, text) in [("b.yml", "2"), ("a.yaml", "1"), ("notes.txt", "3")] {
            fs_err::write(dir.path().join(name), text).unwrap();
        }
        let texts: Vec<String> = seed(Some(dir.path()))
            .unwrap()
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts, ["1", "2"]);
        assert_eq!(seed(None).unwrap().len(), runbooks::ALL.len());
    }
}
