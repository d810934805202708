//! Podman's service of a test's own, with storage of its own: nothing of the machine's own Podman is touched.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    docker::{Operator, unmount},
    process, wait,
};

/// How long it may take to come or to go, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A service that answers; ended with this value.
#[derive(Debug)]
pub struct Podman {
    dir: tempfile::TempDir,
    child: Child,
}

impl Podman {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("fh-podman-").tempdir();
        let dir = dir.expect("a directory");
        let at = |name: &str| dir.path().join(name);
        // Its locks would be shared with the machine's own Podman, whatever the storage.
        std::fs::write(at("containers.conf"), "[engine]\nlock_type = \"file\"\n").expect("a file");
        let log = File::create(at("log")).expect("a log");
        let child = Command::new("podman")
            // Podman's conmon writes into its working directory when memory is over.
            .current_dir(dir.path())
            .env("CONTAINERS_CONF", at("containers.conf"))
            .args(["--root".as_ref(), at("root").as_os_str()])
            .args(["--runroot".as_ref(), at("run").as_os_str()])
            .args(["--tmpdir".as_ref(), at("tmp").as_os_str()])
            .args(["--network-config-dir".as_ref(), at("net").as_os_str()])
            // Works on any file system, and the images are small.
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
            .args(["--events-backend", "file", "system", "service", "--time", "0"])
            .arg(format!("unix://{}", at("s").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("podman is installed");
        let podman = Self { dir, child };
        wait::until("podman to answer", PATIENCE, || {
            podman.operator().is_up().then_some(())
        });
        podman
    }

    /// As an operator sees it.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::at(self.at("s"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.at("log")).unwrap_or_default();
            eprintln!("== podman\n{said}");
        }
        process::signal(self.child.id(), libc::SIGTERM);
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                drop(self.child.kill());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        unmount(self.dir.path());
    }
}
