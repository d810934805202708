//! How server and agents are set up in a simulation.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use object_store::{
    ObjectStore,
    memory::InMemory,
    throttle::{ThrottleConfig, ThrottledStore},
};
use types::{Catalogue, Label, Labels};

use crate::net::PORT;

/// The server's host.
pub const SERVER: &str = "server";
/// How long the artifact store takes for a put or a get.
const STORE: Duration = Duration::from_millis(40);
/// Attempts at once on an agent.
const CAPACITY: u32 = 3;

/// A server that keeps this definition; what is on its way of artifacts lies in `dir`.
#[must_use]
pub fn server(definition: String, objects: Arc<InMemory>, dir: &Path) -> server::Config {
    server::Config {
        listen: ([127, 0, 0, 1], PORT).into(),
        insecure: false,
        webhook_secret: None,
        catalogue: Catalogue::default(),
        seed: vec![("work.yaml".to_owned(), definition)],
        healthy_with_agents: 0,
        artifacts: Some(artifacts(objects, dir)),
        public_hosts: vec![SERVER.to_owned()],
        black_box: None,
    }
}

/// In an object store that takes its time.
fn artifacts(objects: Arc<InMemory>, dir: &Path) -> server::Artifacts {
    let slow = ThrottleConfig {
        wait_put_per_call: STORE,
        wait_get_per_call: STORE,
        ..ThrottleConfig::default()
    };
    let objects: Arc<dyn ObjectStore> = Arc::new(ThrottledStore::new(objects, slow));
    server::Artifacts::on(objects, "memory".to_owned(), dir.to_owned())
}

/// An agent on a host of this name.
#[must_use]
pub fn agent(name: &str, data_dir: PathBuf) -> agent::Config {
    let host: Option<Label> = format!("host={name}").parse().ok();
    agent::Config {
        server: format!("http://{SERVER}:{PORT}"),
        data_dir,
        name: name.to_owned(),
        labels: Labels(host.into_iter().collect()),
        capacity: CAPACITY,
        allow: BTreeSet::default(),
        file: agent::AgentFile::default(),
        secrets: BTreeMap::default(),
        actions: actions::Registry::new([]),
        vendors: agent::Vendors::fixed(actions::Connections::default()),
        shim: None,
        registries: agent::RegistryAccess::default(),
        choice: agent::RuntimeChoice::Native,
        docker_host: None,
    }
}
