//! A place for attempts and short ways to run them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bollard::query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder};
use docker::{Docker, Host, Registries, Settings};
use futures::StreamExt;
use runtime::{AttemptDir, ContainerSpec, Ended, ExitRecord, Found, Image, Network, Pull, Runtime, Secrets};

/// No test step may take longer, on a slow machine either.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const INSIDE: &str = env!("CARGO_BIN_EXE_firehall-inside-test");

pub(crate) struct Place {
    tmp: tempfile::TempDir,
    pub docker: Docker,
    host: Host,
}

pub(crate) struct Ran {
    pub dir: AttemptDir,
    pub record: ExitRecord,
}

impl Ran {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.stdout()).unwrap()).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.stderr()).unwrap()).into_owned()
    }
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::on(Host::find().unwrap(), Registries::default()).await
    }

    pub(crate) async fn on(host: Host, registries: Registries) -> Self {
        let tmp = tempfile::Builder::new()
            .prefix("firehall-docker-")
            .tempdir()
            .unwrap();
        let docker = connect(&tmp, host.clone(), registries).await;
        Self { tmp, docker, host }
    }

    /// The runtime as a restarted agent has it: nothing in memory.
    pub(crate) async fn again(&self) -> Docker {
        connect(&self.tmp, self.host.clone(), Registries::default()).await
    }

    pub(crate) fn dir(&self) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        self.tmp
            .path()
            .join(format!("a{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) async fn run(&self, spec: ContainerSpec) -> Ran {
        self.run_with(spec, Vec::new()).await
    }

    pub(crate) async fn run_with(&self, spec: ContainerSpec, secrets: Secrets) -> Ran {
        let dir = self.dir();
        let found = self.docker.start(&dir, spec, secrets).await.unwrap();
        let record = finished(found).await;
        Ran {
            dir: AttemptDir::new(dir),
            record,
        }
    }
}

impl Place {
    /// Removes what a test left. By its own label, so that nobody else's is touched.
    pub(crate) async fn leave(self) {
        let operator = Operator::on(&self.host);
        for owned in self.docker.owned().await.unwrap() {
            operator.does(Deed::Remove, &owned.name).await;
        }
    }
}

fn owner(tmp: &tempfile::TempDir) -> String {
    tmp.path().file_name().unwrap().to_string_lossy().into_owned()
}

async fn connect(tmp: &tempfile::TempDir, host: Host, registries: Registries) -> Docker {
    let settings = Settings {
        state: tmp.path().join("state"),
        program: INSIDE.into(),
        owner: owner(tmp),
        registries,
    };
    Docker::connect(host, settings).await.unwrap()
}

pub(crate) async fn ended(found: Found) -> Ended {
    match found {
        Found::Ended(ended) => ended,
        Found::Running(running) => tokio::time::timeout(PATIENCE, running.wait())
            .await
            .expect("it did not end")
            .unwrap(),
    }
}

pub(crate) async fn finished(found: Found) -> ExitRecord {
    match ended(found).await {
        Ended::Finished(record) => *record,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn script(text: &str) -> ContainerSpec {
    exec(&["/bin/sh", "-e", "-c", text])
}

pub(crate) fn exec(argv: &[&str]) -> ContainerSpec {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ContainerSpec {
        id: format!("test-{}-{number}", std::process::id()),
        image: Image::Host,
        pull: Pull::Missing,
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        env: Vec::new(),
        secret_files: BTreeSet::new(),
        files: Vec::new(),
        artifacts: Vec::new(),
        artifact_bytes: 0,
        workdir: None,
        user: None,
        users: Vec::new(),
        memory_bytes: 64 * 1024 * 1024,
        pids: 32,
        cpu_millis: None,
        tmp_bytes: 4 * 1024 * 1024,
        network: Network::None,
        host_view: BTreeSet::new(),
        timeout_ms: 60_000,
        grace_ms: 1_000,
        log_cap_bytes: 1024 * 1024,
        pod: runtime::Pod::default(),
    }
}

/// What an operator does with the daemon, beside us.
pub(crate) struct Operator(pub bollard::Docker);

impl Operator {
    pub(crate) fn new() -> Self {
        Self::on(&Host::find().unwrap())
    }

    pub(crate) fn on(host: &Host) -> Self {
        let path = host.to_string();
        Self(bollard::Docker::connect_with_unix(&path, 60, bollard::API_DEFAULT_VERSION).unwrap())
    }

    /// All that the daemon tells of a container.
    pub(crate) async fn sees(&self, name: &str) -> String {
        let inspect = self.0.inspect_container(name, None).await.unwrap();
        let top = self
            .0
            .top_processes(name, None::<bollard::query_parameters::TopOptions>)
            .await
            .unwrap();
        let logs = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let logs: Vec<_> = self.0.logs(name, Some(logs)).collect().await;
        format!("{inspect:?} {top:?} {logs:?}")
    }

    /// What the daemon has of a container's file system, as one archive.
    pub(crate) async fn exports(&self, name: &str) -> Vec<u8> {
        let parts = self.0.export_container(name).map(Result::unwrap);
        parts
            .fold(Vec::new(), async |mut all, part| {
                all.extend_from_slice(&part);
                all
            })
            .await
    }

    pub(crate) async fn does(&self, deed: Deed, name: &str) {
        match deed {
            Deed::Kill => self.0.kill_container(name, None).await,
            Deed::Stop => self.0.stop_container(name, None).await,
            Deed::Pause => self.0.pause_container(name).await,
            Deed::Remove => {
                let force = RemoveContainerOptionsBuilder::default().force(true).build();
                self.0.remove_container(name, Some(force)).await
            }
        }
        .unwrap();
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Deed {
    Kill,
    Stop,
    Pause,
    Remove,
}

/// Waits until a file says something.
pub(crate) async fn says(path: &std::path::Path, what: &str) {
    let until = std::time::Instant::now() + PATIENCE;
    while !std::fs::read_to_string(path).unwrap_or_default().contains(what) {
        assert!(
            std::time::Instant::now() < until,
            "{} never said {what:?}",
            path.display()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
