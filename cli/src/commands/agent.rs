//! `firehall agent`

mod check_config;
pub(crate) mod in_force;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use ::agent::{AgentFile, Config, Grant, RuntimeChoice, Vendors, hygiene};
use clap::{Args, Subcommand};
use node::config::{ConfigError, Settings};
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
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = "It dials the server; nobody dials it. Steps outlive it: one that is started again adopts what runs.

Examples:
  firehall agent --server http://127.0.0.1:7911 --data-dir /var/lib/firehall-agent --label host=web-1
  firehall agent --data-dir d --runtime docker
  firehall agent --data-dir d --allow host-view:proc,network:host --secret-env DEPLOY_TOKEN
  firehall agent check-config /etc/firehall/agent.toml

What steps may ask for, where secrets come from and how to log in to registries stands in /etc/firehall/agent.toml, or in
the file that --config names: docs/agent-toml.md. It is read at the start; restart the agent after a change, steps go on."
)]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    command: Option<AgentCommand>,
    /// The server's URL
    #[arg(long, env = "FIREHALL_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    server: String,
    /// The agent's own directory; made when it is not there
    #[arg(long, env = "FIREHALL_DATA_DIR", value_name = "DIR", required = true)]
    data_dir: Option<PathBuf>,
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

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// Check an agent's file, and say what is in force
    CheckConfig(check_config::CheckConfigArgs),
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
    /// What runs steps: native, docker (a Docker or Podman daemon of this host), auto (native where it works, else docker), both (each that works)
    #[arg(
        long,
        env = "FIREHALL_RUNTIME",
        value_name = "RUNTIME",
        default_value = "native"
    )]
    runtime: RuntimeChoice,
    /// The daemon's socket: unix:///run/podman/podman.sock; DOCKER_HOST or the usual places when not given
    #[arg(long, env = "FIREHALL_DOCKER_HOST", value_name = "SOCKET")]
    docker_host: Option<docker::Host>,
    /// Attempts at once
    #[arg(long, env = "FIREHALL_CAPACITY", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    capacity: u32,
    /// Credentials for registries, as `docker login` writes them; `~/.docker/config.json` when not given
    #[arg(long, env = "FIREHALL_REGISTRY_CONFIG", value_name = "FILE")]
    registry_config: Option<PathBuf>,
    /// A registry that is reached without TLS; one on this host always is. Repeatable
    #[arg(
        long,
        env = "FIREHALL_PLAIN_HTTP",
        value_delimiter = ',',
        value_name = "HOST[:PORT]"
    )]
    plain_http: Vec<String>,
}

impl WhatArgs {
    fn registries(&self) -> images::Access {
        let default = images::Access::default();
        images::Access {
            credentials: self.registry_config.clone().or(default.credentials),
            plain_http: self.plain_http.iter().cloned().collect(),
            ..default
        }
    }

    /// One more label.
    pub(crate) fn add_label(&mut self, label: Label) {
        self.labels.push(label);
    }
}

/// Variables that hold what connections to vendors need: secrets that no step may name unless --secret-env says so.
pub(super) const VENDORS: [&str; 11] = [
    "SLACK_BOT_TOKEN",
    "DD_API_KEY",
    "DD_APP_KEY",
    "PROMETHEUS_BEARER_TOKEN",
    "PROMETHEUS_PASSWORD",
    "LOKI_BEARER_TOKEN",
    "LOKI_PASSWORD",
    "GITHUB_TOKEN",
    "KUBERNETES_TOKEN",
    "PAGERDUTY_TOKEN",
    "LLM_API_KEY",
];

/// What was in the environment and is not any more, and what the files say of the agent.
pub(crate) struct Taken {
    secrets: BTreeMap<String, Secret>,
    file: AgentFile,
}

impl Taken {
    /// To be called before any thread: the process may be executed again, without the secrets in its environment.
    pub(crate) fn take(what: &WhatArgs, files: &Settings) -> Result<Self, Fault> {
        let file = read(files)?;
        let http = what.http.variables();
        let names: Vec<&str> = what
            .secret_env
            .iter()
            .chain(&http)
            .map(String::as_str)
            .chain(file.variables().map(|(_, variable)| variable))
            .chain(VENDORS)
            .collect();
        let secrets = hygiene::take_secrets(&names).map_err(|error| {
            Fault::failed(format!(
                "the secrets cannot be taken from the environment: {error}"
            ))
        })?;
        hygiene::be_undumpable()
            .map_err(|error| Fault::failed(format!("this process cannot be made undumpable: {error}")))?;
        if let Some(name) = what.secret_env.iter().find(|name| !secrets.contains_key(*name)) {
            return Err(Fault::usage(format!(
                "--secret-env {name}: that variable is not set"
            )));
        }
        let unset = file
            .variables()
            .find(|(_, variable)| !secrets.contains_key(*variable));
        if let Some((name, variable)) = unset {
            let place = file.secrets.get(name).map(|sourced| sourced.place.to_string());
            let place = place.unwrap_or_default();
            return Err(Fault::usage(format!(
                "{place}: the secret {name} comes from the variable {variable}, which is not set"
            )));
        }
        Ok(Self { secrets, file })
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
        let Self { secrets: taken, file } = self;
        let by_flag = what.secret_env.iter().map(|name| (name.as_str(), name.as_str()));
        let named = by_flag.chain(file.variables());
        let named =
            named.filter_map(|(name, variable)| Some((name.to_owned(), taken.get(variable)?.clone())));
        let secrets: BTreeMap<String, Secret> = named.collect();
        let sourced = VENDORS.iter().filter(|name| file.secrets.contains_key(**name));
        let sourced = sourced.map(|name| (*name).to_owned()).collect();
        if let Some(name) = what
            .http
            .variables()
            .iter()
            .find(|name| file.secrets.contains_key(*name))
        {
            return Err(Fault::usage(format!(
                "[secrets.{name}]: what `--http` names has its secret in the environment only"
            ))
            .hint(format!(
                "set {name} for the agent, by EnvironmentFile= of its unit, say"
            )));
        }
        let http = what.http.http(&taken, &allow)?;
        let vendors = Vendors::new(taken, sourced, http)
            .map_err(|error| Fault::usage(format!("a connection is set up wrongly: {error}")))?;
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
            file,
            secrets,
            actions: ::actions::Registry::builtin(),
            vendors,
            shim: Some(runtime::ShimCommand::current()),
            registries: what.registries(),
            choice: what.runtime,
            docker_host: what.docker_host.clone(),
        })
    }
}

/// The agent's part of the files.
fn read(files: &Settings) -> Result<AgentFile, Fault> {
    AgentFile::read(files, &VENDORS).map_err(|problems| {
        Fault::usage(ConfigError::Wrong(problems).to_string())
            .hint("docs/agent-toml.md has every key; `firehall agent check-config FILE` looks at one file")
    })
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

pub(crate) fn main(args: AgentArgs, files: &Settings) -> Done {
    if let Some(AgentCommand::CheckConfig(args)) = args.command {
        return check_config::main(&args);
    }
    let Some(data_dir) = args.data_dir else {
        return Err(Fault::usage("--data-dir DIR is missing"));
    };
    let taken = Taken::take(&args.what, files)?;
    telemetry::init(&args.log)?;
    let allow = args.allow.into_iter().collect();
    let config = taken.config(&args.what, args.server, data_dir, args.name, allow)?;
    entry::block_on(async move {
        let shutdown = process::shutdown_on_signals(args.lifetime)?;
        ::agent::run(config, shutdown).await.map_err(fault)?;
        Ok(Exit::Succeeded)
    })
}

pub(crate) fn fault(error: ::agent::AgentError) -> Fault {
    Fault::failed(format!("the agent ended: {error}"))
}
