//! `firehall agent`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use ::agent::{Config, Grant, hygiene};
use clap::Args;
use types::{Label, Labels, Secret, is_host_label};

use super::http::HttpArgs;
use crate::{
    args::DEFAULT_SERVER,
    entry,
    exit::{Done, Exit, Fault},
    process::{self, Lifetime},
    telemetry::{self, LogArgs},
};

/// Run an agent. It dials the server; nobody dials it.
#[derive(Debug, Args)]
#[command(
    after_long_help = "It dials the server; nobody dials it. Steps outlive it: one that is started again adopts what runs.

Examples:
  firehall agent --server http://127.0.0.1:7911 --data-dir /var/lib/firehall-agent --label host=web-1
  firehall agent --data-dir d --allow host-view:proc,network:host --secret-env DEPLOY_TOKEN"
)]
pub(crate) struct AgentArgs {
    /// The server's URL
    #[arg(long, env = "FIREHALL_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    server: String,
    /// The agent's own directory; made when it is not there
    #[arg(long, env = "FIREHALL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Its name for people; the host's name when not given
    #[arg(long, env = "FIREHALL_NAME", value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    what: WhatArgs,
    /// What steps may have beyond the ordinary: host-view:proc, host-view:sys, network:host; net:10.0.0.0/8 for addresses that
    /// `http/request` may reach beside the public ones
    #[arg(long, env = "FIREHALL_ALLOW", value_name = "GRANTS", value_delimiter = ',')]
    allow: Vec<Grant>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    lifetime: Lifetime,
}

/// What `agent` and `dev` have in common.
#[derive(Debug, Args)]
pub(crate) struct WhatArgs {
    /// A label that steps can ask for. Repeatable, also with the same key
    #[arg(
        long = "label",
        env = "FIREHALL_LABEL",
        value_delimiter = ',',
        value_name = "KEY=VALUE"
    )]
    labels: Vec<Label>,
    /// An environment variable that is a secret which steps may name. Repeatable
    #[arg(long, env = "FIREHALL_SECRET_ENV", value_delimiter = ',', value_name = "NAME")]
    secret_env: Vec<String>,
    #[command(flatten)]
    http: HttpArgs,
    /// Attempts at once
    #[arg(long, env = "FIREHALL_CAPACITY", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    capacity: u32,
}

impl WhatArgs {
    /// One more label.
    pub(crate) fn add_label(&mut self, label: Label) {
        self.labels.push(label);
    }
}

/// Variables that hold what connections to vendors need: secrets that no step may name unless --secret-env says so.
pub(super) const VENDORS: [&str; 3] = ["SLACK_BOT_TOKEN", "DD_API_KEY", "DD_APP_KEY"];

/// What was in the environment and is not any more.
pub(crate) struct Taken(BTreeMap<String, Secret>);

impl Taken {
    /// To be called before any thread: the process may be executed again, without the secrets in its environment.
    pub(crate) fn take(what: &WhatArgs) -> Result<Self, Fault> {
        let http = what.http.variables();
        let names: Vec<&str> = what
            .secret_env
            .iter()
            .chain(&http)
            .map(String::as_str)
            .chain(VENDORS)
            .collect();
        let taken = hygiene::take_secrets(&names).map_err(|error| {
            Fault::failed(format!(
                "the secrets cannot be taken from the environment: {error}"
            ))
        })?;
        hygiene::be_undumpable()
            .map_err(|error| Fault::failed(format!("this process cannot be made undumpable: {error}")))?;
        if let Some(name) = what.secret_env.iter().find(|name| !taken.contains_key(*name)) {
            return Err(Fault::usage(format!(
                "--secret-env {name}: that variable is not set"
            )));
        }
        Ok(Self(taken))
    }

    /// The agent's configuration.
    pub(crate) fn config(
        self,
        what: &WhatArgs,
        server: String,
        data_dir: PathBuf,
        name: Option<String>,
        allow: BTreeSet<Grant>,
    ) -> Result<Config, Fault> {
        let of_vendor = |name: &str| match self.0.get(name) {
            Some(secret) => Some(secret.expose().to_owned()),
            None => std::env::var(name).ok(),
        };
        let mut connections = ::actions::Registry::connections_from_env(&of_vendor)
            .map_err(|error| Fault::usage(format!("a connection is set up wrongly: {error}")))?;
        connections.http = what.http.http(&self.0, &allow)?;
        let named = |name: &String| Some((name.clone(), Secret::new(self.0.get(name)?.expose().to_owned())));
        Ok(Config {
            server,
            data_dir,
            name: match name {
                Some(name) => name,
                None => hostname()?,
            },
            labels: Labels(what.labels.iter().cloned().collect()),
            capacity: what.capacity,
            allow,
            secrets: what.secret_env.iter().filter_map(named).collect(),
            actions: ::actions::Registry::builtin(),
            connections,
            shim: Some(runtime::ShimCommand::current()),
        })
    }
}

/// The machine's name.
pub(crate) fn hostname() -> Result<String, Fault> {
    let name = nix::unistd::gethostname().map_err(|error| Fault::failed(format!("no host name: {error}")))?;
    let name = name.into_string().unwrap_or_default();
    if is_host_label(&name) {
        Ok(name)
    } else {
        Err(Fault::usage(format!(
            "this machine's name {name:?} is no host name; give --name"
        )))
    }
}

pub(crate) fn main(args: AgentArgs) -> Done {
    let taken = Taken::take(&args.what)?;
    telemetry::init(&args.log)?;
    let allow = args.allow.into_iter().collect();
    let config = taken.config(&args.what, args.server, args.data_dir, args.name, allow)?;
    entry::block_on(async move {
        let shutdown = process::shutdown_on_signals(args.lifetime)?;
        ::agent::run(config, shutdown).await.map_err(fault)?;
        Ok(Exit::Succeeded)
    })
}

pub(crate) fn fault(error: ::agent::AgentError) -> Fault {
    Fault::failed(format!("the agent ended: {error}"))
}
