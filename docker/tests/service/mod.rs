//! Podman's service, one of a test's own, with storage of its own: nothing of the machine's own Podman is touched.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docker::Host;

/// How long it may take to come or to go, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Its locks would be shared with the machine's own Podman, whatever the storage.
const CONFIGURATION: &str = "[engine]\nlock_type = \"file\"\n";

pub(crate) struct Podman {
    dir: tempfile::TempDir,
    child: Child,
}

impl Podman {
    /// Starts it; one that fetches from this registry without TLS.
    pub(crate) fn start(trusted: Option<&str>) -> Self {
        let registries = trusted
            .map(|registry| format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n"))
            .unwrap_or_default();
        let dir = tempfile::Builder::new()
            .prefix("firehall-podman-")
            .tempdir()
            .unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("containers.conf"), CONFIGURATION).unwrap();
        std::fs::write(at("registries.conf"), registries).unwrap();
        let log = File::create(at("log")).unwrap();
        let child = Command::new("podman")
            // Podman's conmon writes into its working directory when memory is over.
            .current_dir(dir.path())
            .env("CONTAINERS_CONF", at("containers.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", at("registries.conf"))
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .arg("--tmpdir")
            .arg(at("tmp"))
            .arg("--network-config-dir")
            .arg(at("net"))
            // Works on any file system, and the images are small.
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
            .args(["--events-backend", "file", "system", "service", "--time", "0"])
            .arg(format!("unix://{}", at("s").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("podman is installed");
        let mut podman = Self { dir, child };
        let until = Instant::now() + PATIENCE;
        while UnixStream::connect(podman.at("s")).is_err() {
            let ended = podman.child.try_wait().unwrap();
            let said = || std::fs::read_to_string(podman.at("log")).unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < until,
                "no podman: {ended:?} {}",
                said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        podman
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn host(&self) -> Host {
        self.at("s").display().to_string().parse().unwrap()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _asked = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _killed = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        unmount(self.dir.path());
        // As CNI or as netavark names it.
        if ["conflist", "json"]
            .map(|of| self.at("net/firehall-egress").with_extension(of))
            .iter()
            .any(|file| file.exists())
        {
            forget_bridge();
        }
    }
}

/// The bridge of `network: egress` is the host's and outlives the service: the next one's would have another address. Tests
/// that have it run one after the other (`.config/nextest.toml`).
fn forget_bridge() {
    const BRIDGE: &str = "fh-egress1";
    let ports = std::fs::read_dir(format!("/sys/class/net/{BRIDGE}/brif"));
    // Another's containers may be on it.
    if ports.is_ok_and(|mut ports| ports.next().is_none()) {
        let _gone = Command::new("ip").args(["link", "delete", BRIDGE]).status();
    }
}

/// What it left mounted, or its directory cannot go.
fn unmount(below: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| Path::new(point).starts_with(below)) {
        let _gone = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
    }
}
