//! The floor: containers one after the other through the runtime's own API, without any control plane.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use runtime::{Adopted, ContainerSpec, Ended, Native, Network, ShimCommand};
use tempfile::TempDir;
use types::limits;

use crate::stack;

pub(crate) struct Bare {
    dir: TempDir,
    native: Native,
    tokio: tokio::runtime::Runtime,
    name: String,
    next: usize,
}

impl Bare {
    /// Its containers carry the name.
    pub(crate) fn open(name: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fh-bare-").tempdir()?;
        let shim = ShimCommand {
            program: stack::firehall()?,
            args: vec!["shim".to_owned()],
        };
        let native = Native::open(&dir.path().join("native"), shim)?;
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            dir,
            native,
            tokio,
            name: name.to_owned(),
            next: 0,
        })
    }

    /// Runs so many, one after the other; answers how long that took. What is left of them is removed afterwards.
    pub(crate) fn run(&mut self, steps: usize) -> Result<Duration> {
        let mut dirs = Vec::new();
        let begun = Instant::now();
        for _ in 0..steps {
            dirs.push(self.one()?);
        }
        let took = begun.elapsed();
        for dir in dirs {
            self.native.remove(&dir)?;
        }
        Ok(took)
    }

    fn one(&mut self) -> Result<PathBuf> {
        self.next += 1;
        let spec = spec(format!(
            "bench-{}-{}-{}",
            std::process::id(),
            self.name,
            self.next
        ));
        let dir = self.dir.path().join(&spec.id);
        let Adopted::Running(handle) = self.native.start(&dir, &spec, &Vec::new())? else {
            bail!("the directory is not fresh");
        };
        let ended = self
            .tokio
            .block_on(async { tokio::time::timeout(stack::PATIENCE, handle.wait()).await })??;
        match ended {
            Ended::Finished(record) if record.code == Some(0) => Ok(dir),
            other => bail!("a bare container did not end well: {other:?}"),
        }
    }
}

/// As a step without further wishes gets it.
fn spec(id: String) -> ContainerSpec {
    ContainerSpec {
        id,
        image: runtime::Image::Host,
        pull: runtime::Pull::Missing,
        argv: ["/bin/sh", "-e", "-c", "true"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        secret_files: BTreeSet::new(),
        files: Vec::new(),
        artifacts: Vec::new(),
        artifact_bytes: 0,
        workdir: None,
        user: None,
        users: Vec::new(),
        memory_bytes: 256 << 20,
        pids: 256,
        cpu_millis: None,
        tmp_bytes: 64 << 20,
        network: Network::None,
        host_view: BTreeSet::new(),
        timeout_ms: limits::TIMEOUT_MS,
        grace_ms: limits::GRACE_MS,
        log_cap_bytes: limits::LOG_STREAM_BYTES,
        pod: runtime::Pod::default(),
    }
}
