//! A place with a store and a runtime, and short ways to run.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use images::{Access, Images, Store};
use runtime::{ContainerSpec, Ended, ExitRecord, Found, Image, Native, Network, Pull, Runtime, ShimCommand};

/// No test step may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    tmp: tempfile::TempDir,
    pub images: Images,
    pub native: Native,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Access)) -> Self {
        // 0700, as an agent's data directory is.
        let tmp = tempfile::tempdir().unwrap();
        let mut access = Access {
            credentials: None,
            ..Access::default()
        };
        change(&mut access);
        let images = Images::new(Store::open(&tmp.path().join("images")).unwrap(), access);
        let shim = ShimCommand {
            program: PathBuf::from(env!("CARGO_BIN_EXE_firehall-shim-test")),
            args: vec!["shim".to_owned()],
        };
        let native = Native::open(&tmp.path().join("native"), shim)
            .unwrap()
            .with_images(Arc::new(images.clone()));
        Self { tmp, images, native }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    pub(crate) fn run(&self, spec: ContainerSpec) -> Ran {
        let dir = self.path(&spec.id);
        let record = block(async {
            let runtime: &dyn Runtime = &self.native;
            assert_eq!(runtime.refuses(&spec), None);
            let ended = match runtime.start(&dir, spec, Vec::new()).await.unwrap() {
                Found::Running(running) => running.wait().await.unwrap(),
                Found::Ended(ended) => ended,
            };
            match ended {
                Ended::Finished(record) => *record,
                other => panic!("not finished: {other:?}"),
            }
        });
        let text = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(dir.join(name)).unwrap_or_default()).into_owned()
        };
        Ran {
            out: text("out"),
            err: text("err"),
            record,
        }
    }

    pub(crate) fn sh(&self, image: &str, script: &str) -> Ran {
        self.run(sh(image, script))
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub record: ExitRecord,
    pub out: String,
    /// For the message of a test that fails.
    #[expect(dead_code, reason = "shown by Debug")]
    pub err: String,
}

impl Ran {
    /// Why it did not start.
    pub(crate) fn refusal(&self) -> (runtime::StartErrorKind, &str) {
        let error = self.record.start_error.as_ref().expect("it must not start");
        assert!(!self.record.started);
        (error.kind, &error.message)
    }
}

pub(crate) fn block<T>(work: impl Future<Output = T>) -> T {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    tokio
        .block_on(async { tokio::time::timeout(PATIENCE, work).await })
        .expect("it must end")
}

pub(crate) fn sh(image: &str, script: &str) -> ContainerSpec {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    ContainerSpec {
        id: format!(
            "img-{}-{}-{nanos}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ),
        image: Image::Oci(image.to_owned()),
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
