//! The agent for this crate's own tests: a process that can be killed.
//!
//! `shim DIR`; `run SERVER DATA_DIR [GRANT…]`. The variables `SECRET_ONE` and `SECRET_TWO` are its secrets; `AGENT_FILE` names
//! its file.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use agent::{AgentFile, Config, hygiene};
use node::config::{Candidate, Schema};
use tokio_util::sync::CancellationToken;

const SECRETS: [&str; 2] = ["SECRET_ONE", "SECRET_TWO"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["shim", dir] => return runtime::shim::main(Path::new(dir)),
        ["run", server, data_dir, allow @ ..] => run(server, data_dir, allow),
        _ => Err("usage: shim DIR | run SERVER DATA_DIR [GRANT…]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(server: &str, data_dir: &str, allow: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let secrets = hygiene::take_secrets(&SECRETS)?;
    hygiene::be_undumpable()?;
    let file = match std::env::var_os("AGENT_FILE") {
        Some(path) => file(path.into())?,
        None => AgentFile::default(),
    };
    let config = Config {
        server: server.to_owned(),
        data_dir: data_dir.into(),
        name: "under-test".to_owned(),
        labels: types::Labels::default(),
        capacity: 4,
        allow: allow
            .iter()
            .map(|grant| grant.parse())
            .collect::<Result<_, _>>()?,
        file,
        secrets,
        actions: actions::Registry::builtin(),
        vendors: agent::Vendors::fixed(actions::Connections::default()),
        shim: Some(runtime::ShimCommand::current()),
        registries: images::Access::default(),
        choice: agent::RuntimeChoice::Native,
        docker_host: None,
    };
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    tokio.block_on(async {
        let shutdown = CancellationToken::new();
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let stop = shutdown.clone();
        tokio::spawn(async move {
            term.recv().await;
            stop.cancel();
        });
        Ok(agent::run(config, shutdown).await?)
    })
}

fn file(path: PathBuf) -> Result<AgentFile, Box<dyn std::error::Error>> {
    let schema = Schema {
        tables: agent::TABLES,
        ..Schema::default()
    };
    let settings = node::config::read(&[Candidate { path, named: true }], &schema)?;
    AgentFile::read(&settings, &[]).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("\n").into()
    })
}
