//! Where one case runs: a directory, a runtime on it, and short ways to start, follow and end containers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runtime::{
    Attached, AttemptDir, ContainerSpec, Ended, ExitRecord, Found, Network, Runtime, RuntimeError, Secrets,
};

use crate::{Answers, Signals, Subject};

/// No container of a case may take longer to come, to speak or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A case's own runtime and containers.
pub struct Place {
    subject: &'static dyn Subject,
    runtime: Arc<dyn Runtime>,
    tokio: tokio::runtime::Runtime,
    started: Mutex<Vec<(String, PathBuf)>>,
    loaded: Mutex<BTreeSet<String>>,
    tmp: tempfile::TempDir,
}

/// One that runs.
pub(crate) struct Running {
    attached: Box<dyn Attached>,
    dir: AttemptDir,
}

/// One that ended, with what it said.
pub(crate) struct Ran {
    pub dir: AttemptDir,
    pub record: ExitRecord,
}

impl Place {
    pub(crate) fn open(subject: &'static dyn Subject) -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        // 0700, as an agent's data directory is.
        let tmp = tempfile::tempdir().unwrap();
        let runtime = {
            let _within = tokio.enter();
            subject.open(&tmp.path().join("state"))
        };
        Self {
            subject,
            runtime,
            tokio,
            started: Mutex::default(),
            loaded: Mutex::default(),
            tmp,
        }
    }

    pub(crate) fn answers(&self) -> Answers {
        self.subject.answers()
    }

    /// The runtime as a new agent on the same data has it.
    pub(crate) fn reopened(&self) -> Arc<dyn Runtime> {
        let _within = self.tokio.enter();
        self.subject.open(&self.tmp.path().join("state"))
    }

    /// The same kind of runtime in the hands of another agent.
    pub(crate) fn of_another(&self) -> Arc<dyn Runtime> {
        let _within = self.tokio.enter();
        self.subject.open(&self.tmp.path().join("other"))
    }

    pub(crate) fn runtime(&self) -> &dyn Runtime {
        self.runtime.as_ref()
    }

    /// Waits for a future, but not for ever.
    pub(crate) fn block<T>(&self, future: impl Future<Output = T>) -> T {
        self.tokio
            .block_on(async { tokio::time::timeout(PATIENCE, future).await })
            .expect("it must come to an end")
    }

    /// The directory of an attempt.
    pub(crate) fn dir(&self, id: &str) -> PathBuf {
        self.tmp.path().join(id)
    }

    /// Starts it, or finds what was started before.
    pub(crate) fn begin(&self, spec: &ContainerSpec, secrets: Secrets) -> Result<Found, RuntimeError> {
        let dir = self.dir(&spec.id);
        let mut started = self.started.lock().unwrap();
        if !started.iter().any(|(id, _)| *id == spec.id) {
            started.push((spec.id.clone(), dir.clone()));
        }
        drop(started);
        self.block(self.runtime.start(&dir, spec.clone(), secrets))
    }

    pub(crate) fn start(&self, spec: &ContainerSpec) -> Running {
        self.start_with(spec, Vec::new())
    }

    pub(crate) fn start_with(&self, spec: &ContainerSpec, secrets: Secrets) -> Running {
        match self.begin(spec, secrets).unwrap() {
            Found::Running(attached) => Running {
                attached,
                dir: AttemptDir::new(self.dir(&spec.id)),
            },
            Found::Ended(ended) => panic!("it does not run: {ended:?}"),
        }
    }

    /// What a runtime finds under an attempt's id.
    pub(crate) fn adopt(&self, runtime: &dyn Runtime, id: &str) -> Result<Running, Ended> {
        let dir = self.dir(id);
        match self.block(runtime.adopt(&dir)).unwrap() {
            Found::Running(attached) => Ok(Running {
                attached,
                dir: AttemptDir::new(dir),
            }),
            Found::Ended(ended) => Err(ended),
        }
    }

    pub(crate) fn stop(&self, running: &Running) {
        self.block(self.runtime.stop(running.dir.path())).unwrap();
    }

    pub(crate) fn remove(&self, dir: &AttemptDir) -> Result<(), RuntimeError> {
        self.block(self.runtime.remove(dir.path()))
    }

    pub(crate) fn wait(&self, running: &Running) -> Ended {
        self.block(running.attached.wait()).unwrap()
    }

    /// Waits for an end that has a record.
    pub(crate) fn end(&self, running: &Running) -> Ran {
        Ran {
            record: finished(self.wait(running)),
            dir: running.dir.clone(),
        }
    }

    pub(crate) fn run(&self, spec: &ContainerSpec) -> Ran {
        self.run_with(spec, Vec::new())
    }

    pub(crate) fn run_with(&self, spec: &ContainerSpec, secrets: Secrets) -> Ran {
        let running = self.start_with(spec, secrets);
        self.end(&running)
    }

    /// Runs a shell script with a spec's defaults.
    pub(crate) fn sh(&self, script: &str) -> Ran {
        self.run(&sh(script))
    }

    /// Takes in an image under its name.
    pub(crate) fn load(&self, name: &str, archive: &[u8]) {
        self.loaded.lock().unwrap().insert(name.to_owned());
        self.subject.load(&self.tmp.path().join("state"), archive);
    }

    /// Takes it away again.
    pub(crate) fn unload(&self, name: &str) {
        if self.loaded.lock().unwrap().remove(name) {
            self.subject.unload(name);
        }
    }

    pub(crate) fn remains(&self, id: &str) -> Vec<String> {
        self.subject.remains(id)
    }

    /// Ends and removes all that the case started; nothing of it may remain.
    pub(crate) fn leave(self) {
        let started = std::mem::take(&mut *self.started.lock().unwrap());
        // What was started first may have the network of the rest.
        for (id, _) in started.into_iter().rev() {
            self.take_away(&id).unwrap();
            until("nothing of it remains", || self.remains(&id).is_empty());
            assert!(!self.dir(&id).exists(), "its directory is gone");
        }
    }

    fn take_away(&self, id: &str) -> Result<(), RuntimeError> {
        let dir = self.dir(id);
        self.block(async {
            if let Found::Running(attached) = self.runtime.adopt(&dir).await? {
                self.runtime.stop(&dir).await?;
                attached.wait().await?;
            }
            self.runtime.remove(&dir).await
        })
    }
}

impl Drop for Place {
    /// A case that failed leaves nothing on the machine either.
    fn drop(&mut self) {
        let started = std::mem::take(
            &mut *self
                .started
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        for (id, _) in started.into_iter().rev() {
            if let Err(error) = self.take_away(&id) {
                eprintln!("{id} cannot be taken away: {error}");
            }
        }
        let loaded = self.loaded.get_mut();
        for name in loaded.unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            self.subject.unload(name);
        }
    }
}

impl Running {
    pub(crate) fn dir(&self) -> &AttemptDir {
        &self.dir
    }

    pub(crate) async fn waited(&self) -> Result<Ended, RuntimeError> {
        self.attached.wait().await
    }

    /// Until the step has written this to its standard output.
    pub(crate) fn says(&self, text: &str) {
        until(text, || read(&self.dir.stdout()).contains(text));
    }
}

impl Ran {
    pub(crate) fn out(&self) -> String {
        read(&self.dir.stdout())
    }

    pub(crate) fn err(&self) -> String {
        read(&self.dir.stderr())
    }

    pub(crate) fn out_bytes(&self) -> Vec<u8> {
        std::fs::read(self.dir.stdout()).unwrap()
    }

    /// The main process died of this signal, as this runtime tells it.
    pub(crate) fn died_of(&self, place: &Place, signal: i32) -> bool {
        let told = (self.record.code, self.record.signal);
        match place.answers().signals {
            Signals::Apart => told == (None, Some(signal)),
            Signals::Code => told == (Some(128 + signal), None),
        }
    }
}

fn read(path: &std::path::Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

pub(crate) fn finished(ended: Ended) -> ExitRecord {
    match ended {
        Ended::Finished(record) => *record,
        other => panic!("not finished: {other:?}"),
    }
}

/// A name that no other case, process or run has.
pub(crate) fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("case-{}-{next}-{nanos}", std::process::id())
}

pub(crate) fn exec(argv: &[&str]) -> ContainerSpec {
    ContainerSpec {
        id: unique(),
        image: runtime::Image::Host,
        pull: runtime::Pull::Missing,
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        env: Vec::new(),
        secret_files: BTreeSet::new(),
        files: Vec::new(),
        artifacts: Vec::new(),
        artifact_bytes: 0,
        workdir: None,
        user: None,
        users: Vec::new(),
        memory_bytes: 256 * 1024 * 1024,
        pids: 64,
        cpu_millis: None,
        tmp_bytes: 16 * 1024 * 1024,
        network: Network::None,
        host_view: BTreeSet::new(),
        timeout_ms: 50_000,
        grace_ms: 5_000,
        log_cap_bytes: 1024 * 1024,
        pod: runtime::Pod::default(),
    }
}

pub(crate) fn sh(script: &str) -> ContainerSpec {
    exec(&["/bin/sh", "-c", script])
}

pub(crate) fn bash(script: &str) -> ContainerSpec {
    exec(&["/bin/bash", "-c", script])
}

/// Polls until something is true; fails with its name when it never is.
pub(crate) fn until(what: &str, mut true_now: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !true_now() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Command lines of the processes on this host that contain a text.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy() == std::process::id().to_string() {
            continue;
        }
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}
