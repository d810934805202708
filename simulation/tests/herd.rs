//! Many real agents come back after a restart of the server: nobody is left out, and the server is not overrun.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use e2e::Stack;
use proto::v1::{ListAgentsRequest, admin_service_client::AdminServiceClient};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use types::Labels;

/// How long the whole herd may take to be there: on a machine that is busy with other things, too.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_FULL: Duration = Duration::from_secs(400);
/// How long the server is away: longer than the longest wait of an agent.
const AWAY: Duration = Duration::from_secs(6);
/// Descriptors: three an agent, and the rest.
const FILES: u64 = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_agents_are_back_after_a_restart() {
    herd(200, 512, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_two_thousand_agents_are_back_after_a_restart() {
    herd(2_000, 768, PATIENCE_FULL).await;
}

/// So many agents, and what the server may take, in MiB.
async fn herd(count: usize, most_mib: u64, patience: Duration) {
    raise_files();
    let mut stack = Stack::server();
    // In memory where there is such a place: thousands of agents are not on one disk in life.
    let dirs = [Path::new("/dev/shm"), Path::new("/tmp")]
        .into_iter()
        .find(|dir| dir.is_dir());
    let dirs = tempfile::tempdir_in(dirs.unwrap()).unwrap();
    let shutdown = CancellationToken::new();
    let mut agents = tokio::task::JoinSet::new();
    for n in 0..count {
        let config = config(n, stack.url(), dirs.path().join(n.to_string()));
        agents.spawn(agent::run(config, shutdown.clone()));
    }
    let came = all_connected(&stack.url(), count, patience).await;
    println!("{count} agents, the first time: {came:.1?}");
    stack.server_process().kill9();
    sleep(AWAY).await;
    let begun = Instant::now();
    stack.spawn_server();
    all_connected(&stack.url(), count, patience).await;
    let back = begun.elapsed();
    let peak = peak_mib(stack.server_process().pid());
    println!("{count} agents back {back:.1?} after the server's start; the server's peak is {peak} MiB");
    assert!(peak < most_mib, "the server took {peak} MiB");
    assert!(agents.try_join_next().is_none(), "no agent ended");
    shutdown.cancel();
    while let Some(ended) = agents.join_next().await {
        ended.unwrap().unwrap();
    }
}

fn config(n: usize, server: String, data_dir: PathBuf) -> agent::Config {
    agent::Config {
        server,
        data_dir,
        name: format!("herd-{n}"),
        labels: Labels::default(),
        capacity: 1,
        allow: BTreeSet::default(),
        file: agent::AgentFile::default(),
        secrets: BTreeMap::default(),
        actions: actions::Registry::new([]),
        vendors: agent::Vendors::fixed(actions::Connections::default()),
        shim: None,
        choice: agent::RuntimeChoice::Native,
        docker_host: None,
        registries: agent::RegistryAccess::default(),
    }
}

/// Until the server lists so many as connected.
async fn all_connected(url: &str, count: usize, patience: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let connected = connected(url).await.unwrap_or_default();
        if connected == count {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < patience, "{connected} of {count} are connected");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn connected(url: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let channel = tonic::transport::Endpoint::from_shared(url.to_owned())?
        .connect()
        .await?;
    let mut client = AdminServiceClient::new(channel);
    let (mut connected, mut page_token) = (0, String::new());
    loop {
        let request = ListAgentsRequest { limit: 0, page_token };
        let page = client.list_agents(request).await?.into_inner();
        connected += page.agents.iter().filter(|one| one.state == "connected").count();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(connected);
        }
    }
}

/// The most memory that a process has held.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// As many descriptors as the herd needs; the server inherits the limit.
fn raise_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < FILES {
        setrlimit(Resource::RLIMIT_NOFILE, FILES.min(hard), hard).unwrap();
    }
}
