//! Whether this host's daemon can run steps, found out by running one.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use runtime::{AttemptDir, ContainerSpec, Ended, ExitRecord, Found, Image, Network, Pull, Runtime};

use crate::runtime_impl::Docker;

/// How long the trial step may take before the answer is no.
const TRIAL: Duration = Duration::from_secs(60);

/// What was seen in a trial step.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What the step wrote.
    pub output: String,
    /// Its record.
    pub record: ExitRecord,
    /// From start to end.
    pub took: Duration,
}

/// Runs `script` by `image: host` below `state` and takes it away again.
///
/// # Errors
/// Why steps cannot run here, in a line for people.
pub async fn probe(docker: &Docker, state: &Path, script: &str, spec: Limits) -> Result<Seen, String> {
    let id = format!("probe-{}-{}", std::process::id(), runtime::kit::wall_ms());
    let dir = state.join(&id);
    let spec = ContainerSpec {
        id,
        image: Image::Host,
        pull: Pull::Missing,
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: Vec::new(),
        secret_files: BTreeSet::new(),
        files: Vec::new(),
        artifacts: Vec::new(),
        artifact_bytes: 0,
        workdir: None,
        user: None,
        users: Vec::new(),
        memory_bytes: spec.memory_bytes,
        pids: spec.pids,
        cpu_millis: None,
        tmp_bytes: 1024 * 1024,
        network: Network::None,
        host_view: BTreeSet::new(),
        timeout_ms: 30_000,
        grace_ms: 100,
        log_cap_bytes: 16 * 1024,
        pod: runtime::Pod::default(),
    };
    let begun = Instant::now();
    let ended = run(docker, &dir, spec).await;
    let took = begun.elapsed();
    let output = std::fs::read(AttemptDir::new(&dir).stdout()).unwrap_or_default();
    docker.remove(&dir).await.map_err(|error| error.to_string())?;
    match ended? {
        Ended::Finished(record) if record.code == Some(0) => Ok(Seen {
            output: String::from_utf8_lossy(&output).into_owned(),
            record: *record,
            took,
        }),
        Ended::Finished(record) => Err(format!(
            "a trial step failed: {}",
            record
                .start_error
                .map_or_else(|| format!("exit code {:?}", record.code), |error| error.message)
        )),
        Ended::NeverStarted(why) => Err(format!("a trial step did not start: {why}")),
        Ended::Lost => Err("a trial step was lost".to_owned()),
    }
}

/// The trial step's limits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory.
    pub memory_bytes: u64,
    /// Processes.
    pub pids: u32,
}

async fn run(docker: &Docker, dir: &Path, spec: ContainerSpec) -> Result<Ended, String> {
    match docker
        .start(dir, spec, Vec::new())
        .await
        .map_err(|error| error.to_string())?
    {
        Found::Ended(ended) => Ok(ended),
        Found::Running(running) => tokio::time::timeout(TRIAL, running.wait())
            .await
            .map_err(|_| "a trial step did not end".to_owned())?
            .map_err(|error| error.to_string()),
    }
}
