//! The suite on the Docker runtime: real containers of this host's daemon.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bollard::query_parameters::ListContainersOptionsBuilder;
use conformance::{Answers, Ids, Signals, Subject};
use docker::{Docker, Host, Registries, Settings};
use runtime::{LimitsBy, Runtime};

const INSIDE: &str = env!("CARGO_BIN_EXE_firehall-inside-test");

struct OnThisDaemon;

impl Subject for OnThisDaemon {
    fn open(&self, state: &Path) -> Arc<dyn Runtime> {
        let settings = Settings {
            state: state.to_owned(),
            program: INSIDE.into(),
            owner: state.display().to_string(),
            registries: Registries::default(),
        };
        let connecting = Docker::connect(Host::find().unwrap(), settings);
        Arc::new(tokio::runtime::Handle::current().block_on(connecting).unwrap())
    }

    fn answers(&self) -> Answers {
        Answers {
            signals: Signals::Apart,
            ids: Ids::Same,
            limits: LimitsBy::Cgroup,
        }
    }

    /// Its container.
    fn remains(&self, id: &str) -> Vec<String> {
        let name = format!("firehall-{id}");
        let looking = async {
            let path = Host::find().unwrap().to_string();
            let client = bollard::Docker::connect_with_unix(&path, 60, bollard::API_DEFAULT_VERSION).unwrap();
            let all = ListContainersOptionsBuilder::default().all(true).build();
            client.list_containers(Some(all)).await.unwrap()
        };
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listed = tokio.block_on(looking);
        let names = listed
            .into_iter()
            .flat_map(|container| container.names.unwrap_or_default());
        names
            .filter(|known| known.trim_start_matches('/') == name)
            .collect()
    }
}

fn main() -> ExitCode {
    conformance::main(&OnThisDaemon)
}
