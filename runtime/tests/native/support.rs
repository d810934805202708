//! A place for attempts and short ways to run them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use runtime::{
    Adopted, AttemptDir, ContainerSpec, Ended, ExitRecord, Handle, Native, Network, Secrets, ShimCommand,
};
use types::Secret;

/// No test step may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SHIM: &str = env!("CARGO_BIN_EXE_firehall-shim-test");

pub(crate) struct Place {
    tmp: tempfile::TempDir,
    pub native: Native,
}

pub(crate) struct Ran {
    pub dir: AttemptDir,
    pub record: ExitRecord,
}

impl Ran {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.stdout()).unwrap()).into_owned()
    }
}

pub(crate) fn command() -> ShimCommand {
    ShimCommand {
        program: PathBuf::from(SHIM),
        args: vec!["shim".to_owned()],
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        // 0700, as an agent's data directory is.
        let tmp = tempfile::tempdir().unwrap();
        let native = Native::open(&tmp.path().join("native"), command()).unwrap();
        Self { tmp, native }
    }

    /// By another agent, after this one's end.
    pub(crate) fn reopened(self) -> Self {
        let Self { tmp, native } = self;
        drop(native);
        let native = Native::open(&tmp.path().join("native"), command()).unwrap();
        Self { tmp, native }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    pub(crate) fn start(&self, spec: &ContainerSpec) -> Handle {
        self.start_with(spec, &Vec::new())
    }

    pub(crate) fn start_with(&self, spec: &ContainerSpec, secrets: &Secrets) -> Handle {
        match self.native.start(&self.path(&spec.id), spec, secrets).unwrap() {
            Adopted::Running(handle) => handle,
            Adopted::Ended(ended) => panic!("not running: {ended:?}"),
        }
    }

    pub(crate) fn run(&self, spec: &ContainerSpec) -> Ran {
        self.run_with(spec, &Vec::new())
    }

    pub(crate) fn run_with(&self, spec: &ContainerSpec, secrets: &Secrets) -> Ran {
        let handle = self.start_with(spec, secrets);
        let record = finished(wait(&handle));
        Ran {
            dir: handle.dir().clone(),
            record,
        }
    }
}

pub(crate) fn wait(handle: &Handle) -> Ended {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio
        .block_on(async { tokio::time::timeout(PATIENCE, handle.wait()).await })
        .expect("the step must end")
        .unwrap()
}

pub(crate) fn finished(ended: Ended) -> ExitRecord {
    match ended {
        Ended::Finished(record) => *record,
        other => panic!("not finished: {other:?}"),
    }
}

/// A name that no other test, process or run has.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!(
        "test-{}-{}-{nanos}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
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
        timeout_ms: 20_000,
        grace_ms: 5_000,
        log_cap_bytes: 1024 * 1024,
        pod: runtime::Pod::default(),
    }
}

pub(crate) fn sh(script: &str) -> ContainerSpec {
    exec(&["/bin/sh", "-c", script])
}

pub(crate) fn secret(name: &str, value: &str) -> Secrets {
    vec![(name.to_owned(), Secret::new(value.to_owned()))]
}

/// Polls until something is true; fails with its name when it never is.
pub(crate) fn until(what: &str, mut true_now: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !true_now() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The shim's pid from the lock file, once it is signed.
pub(crate) fn shim_pid(dir: &AttemptDir) -> i32 {
    let mut pid = None;
    until("the shim signs", || {
        pid = std::fs::read_to_string(dir.path().join("lock"))
            .ok()
            .and_then(|text| text.split(' ').next()?.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// Until the step has written this to its standard output.
pub(crate) fn until_says(dir: &AttemptDir, text: &str) {
    until(text, || {
        std::fs::read(dir.stdout()).is_ok_and(|out| String::from_utf8_lossy(&out).contains(text))
    });
}

/// Processes on this host whose command line contains a text.
pub(crate) fn processes_with(text: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(text) && pid != std::process::id().cast_signed() {
            found.push(pid);
        }
    }
    found
}
