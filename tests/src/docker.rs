//! Docker daemons of tests: asked by their socket as an operator asks them, and one of a test's own that can be killed,
//! hung and started again.

use std::{
    fs::File,
    io::{Read, Write},
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{process, wait};

/// How long a daemon may take to come up or to leave, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take for one answer.
const ANSWER: Duration = Duration::from_secs(30);
/// The label of what an agent made, with the agent's id.
const OWNER: &str = "io.firehall.owner";

/// A daemon, by its socket.
#[derive(Debug, Clone)]
pub struct Operator(PathBuf);

/// Whom the root of a container is on the host, for a daemon that maps its users.
pub const MAPPED: u32 = 1_234_567_168;
/// Starts a daemon that finds the mapping in a file ($1), and nobody else does.
const MAPPING: &str = "mount --bind \"$1\" /etc/subuid; mount --bind \"$1\" /etc/subgid; shift; \
    exec dockerd --userns-remap=daemon \"$@\"";

/// A container as the daemon lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// `created`, `running`, `paused`, `exited`.
    pub state: String,
}

impl Operator {
    /// The one that runs on this machine for all tests.
    ///
    /// # Panics
    /// When it does not run: `cargo xtask test` starts it.
    #[must_use]
    pub fn shared() -> Self {
        let shared = Self("/var/run/docker.sock".into());
        assert!(
            shared.is_up(),
            "no dockerd answers at {}: start it",
            shared.host()
        );
        shared
    }

    /// The one at this socket.
    pub(crate) const fn at(socket: PathBuf) -> Self {
        Self(socket)
    }

    /// For `--docker-host`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.0.display())
    }

    /// Asks it; the status and the body.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer in time.
    pub fn ask(&self, method: &str, path: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let mut stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        // Of version 1.0, so that the answer comes in one piece and ends.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let head = head.ok_or_else(|| std::io::Error::other("an answer without a head"))?;
        let status = String::from_utf8_lossy(&answer[..head]);
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other("an answer without a status"))?;
        Ok((status, answer.split_off(head + 4)))
    }

    /// Does something to a container: `POST /containers/ID/kill`.
    ///
    /// # Panics
    /// When the daemon does not do it.
    pub fn does(&self, method: &str, path: &str) {
        let (status, body) = self.ask(method, path).expect("the daemon answers");
        let said = String::from_utf8_lossy(&body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {said}");
    }

    /// Whether it answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.ask("GET", "/_ping").is_ok_and(|(status, _)| status == 200)
    }

    /// The containers of an agent, by its id.
    ///
    /// # Panics
    /// When the daemon does not answer.
    #[must_use]
    pub fn containers(&self, agent: &str) -> Vec<Container> {
        let filter = format!("%7B%22label%22%3A%5B%22{OWNER}%3D{agent}%22%5D%7D");
        let asked = self.ask("GET", &format!("/containers/json?all=1&filters={filter}"));
        let (status, body) = asked.expect("the daemon answers");
        assert_eq!(status, 200);
        let listed: Value = serde_json::from_slice(&body).expect("JSON");
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let listed = listed.as_array().expect("a list").iter();
        listed
            .map(|one| Container {
                id: text(one, "Id"),
                state: text(one, "State"),
            })
            .collect()
    }

    /// Waits for the only container of an agent to be in a state.
    ///
    /// # Panics
    /// When it does not come to it.
    #[must_use]
    pub fn only(&self, agent: &str, state: &str) -> String {
        wait::until(&format!("a container to be {state}"), PATIENCE, || {
            match self.containers(agent).as_slice() {
                [one] if one.state == state => Some(one.id.clone()),
                _ => None,
            }
        })
    }

    /// The host's id of a running container's first process.
    ///
    /// # Panics
    /// When the daemon does not say.
    #[must_use]
    pub fn pid(&self, container: &str) -> u32 {
        let asked = self.ask("GET", &format!("/containers/{container}/json"));
        let (_, body) = asked.expect("the daemon answers");
        let seen: Value = serde_json::from_slice(&body).expect("JSON");
        let pid = seen["State"]["Pid"].as_u64().expect("a pid");
        u32::try_from(pid).expect("a pid")
    }

    /// Removes what an agent left: a test's own, by its label.
    pub fn sweep(&self, agent: &str) {
        for container in self.containers(agent) {
            // Gone meanwhile is gone.
            drop(self.ask("DELETE", &format!("/containers/{}?force=1&v=1", container.id)));
        }
    }
}

/// A bridge that a daemon finds in the place of `docker0`, which one without any bridge would remove: it is that of the host's own
/// daemon. Nothing is ever on it.
#[derive(Debug)]
struct Bridge(String);

impl Bridge {
    /// Makes one; its address is from the range for measurements in laboratories (RFC 2544), where nobody lives.
    fn make() -> Self {
        let pid = std::process::id();
        let mut left = (0..8).map(|n| (format!("fht{pid}-{n}"), (pid.wrapping_mul(8) + n) % 0x8000));
        let named = left.find(|(name, _)| ip(&["link", "add", name, "type", "bridge"]));
        let (name, place) = named.expect("a bridge can be made");
        let bridge = Self(name);
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + place * 4 + 1);
        assert!(
            ip(&["address", "add", &format!("{address}/30"), "dev", &bridge.0]),
            "an address for {bridge:?}"
        );
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        ip(&["link", "delete", &self.0]);
    }
}

/// Whether iproute2 did it; it says itself why not.
fn ip(args: &[&str]) -> bool {
    let ran = Command::new("ip").args(args).status();
    ran.expect("iproute2 is installed").success()
}

/// A daemon of a test's own.
#[derive(Debug)]
pub struct Dockerd {
    dir: tempfile::TempDir,
    bridge: Bridge,
    child: Option<Child>,
    live_restore: bool,
    remapped: bool,
    /// Its data, where that is not in its directory.
    data: Option<PathBuf>,
}

impl Dockerd {
    /// Starts one; `live_restore` says whether containers outlive it.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(live_restore: bool) -> Self {
        Self::with(live_restore, false, None)
    }

    /// Starts one whose data is there, on a disk of its own for instance.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn with_data(data: &Path) -> Self {
        Self::with(false, false, Some(data.to_owned()))
    }

    /// Starts one that maps its containers' users to others of the host: root is [`MAPPED`].
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn remapped() -> Self {
        Self::with(false, true, None)
    }

    fn with(live_restore: bool, remapped: bool, data: Option<PathBuf>) -> Self {
        let dir = tempfile::Builder::new().prefix("fh-dockerd-").tempdir();
        let mut daemon = Self {
            dir: dir.expect("a directory"),
            bridge: Bridge::make(),
            child: None,
            live_restore,
            remapped,
            data,
        };
        daemon.up();
        daemon
    }

    /// As an operator sees it.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator(self.at("s"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What it said, for failing tests.
    #[must_use]
    pub fn said(&self) -> String {
        let all = std::fs::read(self.at("log")).unwrap_or_default();
        let from = all.len().saturating_sub(8_000);
        String::from_utf8_lossy(&all[from..]).into_owned()
    }

    /// Starts it (again) and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn up(&mut self) {
        let until = Instant::now() + PATIENCE;
        self.spawn();
        while !self.operator().is_up() {
            assert!(Instant::now() < until, "no daemon:\n{}", self.said());
            let child = self.child.as_mut().expect("it was started");
            if child.try_wait().expect("a child").is_some() {
                // What the killed one left was in its way: it says so in its log.
                std::thread::sleep(Duration::from_millis(500));
                self.spawn();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn spawn(&mut self) {
        let log = File::options().append(true).create(true).open(self.at("log"));
        let log = log.expect("a log");
        let mut command = if self.remapped {
            let subids = self.at("subids");
            std::fs::write(&subids, format!("daemon:{MAPPED}:65536\n")).expect("a file");
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "sh", "-e", "-c", MAPPING, "sh"])
                .arg(subids);
            command
        } else {
            Command::new("dockerd")
        };
        let data = self.data.clone().unwrap_or_else(|| self.at("data"));
        let child = command
            .args(["--bridge", &self.bridge.0])
            .args(["--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--ip-masq=false"])
            .arg(format!("--live-restore={}", self.live_restore))
            .args(["--host", &self.operator().host()])
            .args(["--data-root".as_ref(), data.as_os_str()])
            .args(["--exec-root".as_ref(), self.at("exec").as_os_str()])
            .args(["--pidfile".as_ref(), self.at("pid").as_os_str()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("dockerd is installed"));
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: i32) {
        process::signal(self.child.as_ref().expect("it runs").id(), signal);
    }

    /// Ends it as a crash does.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill9(&mut self) {
        self.signal(libc::SIGKILL);
        let ended = self.child.take().expect("it runs").wait();
        ended.expect("it can be waited for");
        // What is left of it is in the way of the next one.
        for file in ["pid", "s"] {
            drop(std::fs::remove_file(self.at(file)));
        }
    }

    /// Ends it as its unit does.
    ///
    /// # Panics
    /// When it does not run or does not end.
    pub fn stop(&mut self) {
        self.signal(libc::SIGTERM);
        let mut child = self.child.take().expect("it runs");
        wait::until("the daemon to end", PATIENCE, || {
            child.try_wait().expect("a child")
        });
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("== dockerd\n{}", self.said());
        }
        let Some(mut child) = self.child.take() else {
            return;
        };
        process::signal(child.id(), libc::SIGCONT);
        process::signal(child.id(), libc::SIGTERM);
        let until = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                drop(child.kill());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        unmount(self.dir.path());
    }
}

/// What it left mounted, or its directory cannot go.
pub(crate) fn unmount(below: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| Path::new(point).starts_with(below)) {
        drop(Command::new("umount").args(["--lazy", point]).status());
    }
}
