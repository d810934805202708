//! A daemon that is killed, restarted or hung while a step runs. Each test has a daemon of its own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docker::{Host, Registries};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime::Runtime;

use crate::support::{PATIENCE, Place, finished, says, script};

struct Dockerd {
    dir: tempfile::TempDir,
    child: Option<Child>,
    live_restore: bool,
}

impl Dockerd {
    fn new(live_restore: bool) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("firehall-dockerd-")
            .tempdir()
            .unwrap();
        let mut daemon = Self {
            dir,
            child: None,
            live_restore,
        };
        daemon.start();
        daemon
    }

    fn host(&self) -> Host {
        self.socket().parse().unwrap()
    }

    fn socket(&self) -> String {
        format!("unix://{}/s", self.dir.path().display())
    }

    fn start(&mut self) {
        let at = |name: &str| self.dir.path().join(name);
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(at("log"))
            .unwrap();
        // In a network of its own: a daemon without a bridge removes `docker0`, which is that of the host's own daemon.
        let child = Command::new("unshare")
            .args([
                "--net",
                "dockerd",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ])
            .arg(format!("--live-restore={}", self.live_restore))
            .args(["--host".to_owned(), self.socket()])
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + PATIENCE;
        while !answers(&at("s")) {
            assert!(
                Instant::now() < until,
                "{}",
                std::fs::read_to_string(at("log")).unwrap()
            );
            let gone = self.child.as_mut().unwrap().try_wait().unwrap();
            if gone.is_some() {
                // What the killed one left was in its way; it tells so in its log.
                std::thread::sleep(Duration::from_millis(500));
                return self.start();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn send(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
    }

    fn kill(&mut self) {
        self.send(Signal::SIGKILL);
        self.child.take().unwrap().wait().unwrap();
        // What is left of it is in the way of the next one.
        for file in ["pid", "s"] {
            let _gone = std::fs::remove_file(self.dir.path().join(file));
        }
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let pid = Pid::from_raw(child.id().cast_signed());
        let _thawed = kill(pid, Signal::SIGCONT);
        let _asked = kill(pid, Signal::SIGTERM);
        let until = Instant::now() + Duration::from_secs(30);
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _killed = child.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        unmount(self.dir.path());
    }
}

/// Whether it is up: its socket is there long before.
fn answers(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let asked = stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.ends_with("OK")
}

/// What it left mounted, or its directory cannot go.
fn unmount(below: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| Path::new(point).starts_with(below)) {
        let _gone = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
    }
}

/// A step that writes a line each tenth of a second, three seconds long.
fn counting() -> runtime::ContainerSpec {
    script(
        "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; echo n=$i >> $FIREHALL_OUTPUT",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_lives_through_a_killed_daemon_that_restores_and_no_byte_is_lost() {
    let mut daemon = Dockerd::new(true);
    let place = Place::on(daemon.host(), Registries::default()).await;
    let dir = place.dir();
    let found = place.docker.start(&dir, counting(), Vec::new()).await.unwrap();
    says(&dir.join("out"), "line 3").await;
    daemon.kill();
    says(&dir.join("out"), "line 20").await;
    daemon.start();
    let record = finished(found).await;
    assert_eq!(
        (record.code, record.ended_by.as_deref()),
        (Some(0), None),
        "{record:?}"
    );
    let lines: Vec<String> = (0..30).map(|i| format!("line {i}\n")).collect();
    assert_eq!(std::fs::read_to_string(dir.join("out")).unwrap(), lines.concat());
    assert_eq!(std::fs::read_to_string(dir.join("run/output")).unwrap(), "n=30\n");
    place.docker.remove(&dir).await.unwrap();
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ends_its_containers_when_it_comes_back_makes_no_success() {
    let mut daemon = Dockerd::new(false);
    let place = Place::on(daemon.host(), Registries::default()).await;
    let dir = place.dir();
    let spec = script("echo up; sleep 10; exit 4");
    let found = place.docker.start(&dir, spec, Vec::new()).await.unwrap();
    says(&dir.join("out"), "up").await;
    daemon.kill();
    daemon.start();
    let record = finished(found).await;
    // The daemon ends it, or has lost sight of it and the step ends by itself: what is told is what happened.
    match record.ended_by {
        Some(_) => assert!(!record.stopped && !record.timed_out, "{record:?}"),
        None => assert_eq!(record.code, Some(4), "{record:?}"),
    }
    assert_eq!(std::fs::read_to_string(dir.join("out")).unwrap(), "up\n");
    place.docker.remove(&dir).await.unwrap();
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_daemon_hides_neither_the_end_of_a_step_nor_its_own_state() {
    let daemon = Dockerd::new(false);
    let place = Place::on(daemon.host(), Registries::default()).await;
    let dir = place.dir();
    let found = place.docker.start(&dir, counting(), Vec::new()).await.unwrap();
    says(&dir.join("out"), "line 3").await;
    daemon.send(Signal::SIGSTOP);
    let record = finished(found).await;
    assert_eq!(record.code, Some(0), "{record:?}");
    assert_eq!(std::fs::read_to_string(dir.join("run/output")).unwrap(), "n=30\n");
    daemon.send(Signal::SIGCONT);
    place.docker.remove(&dir).await.unwrap();
    place.leave().await;
}
