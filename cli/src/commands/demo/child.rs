//! One process of the demo: this binary again, in a process group of its own, its log in a file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child as Process, Command},
    time::{Instant, sleep, timeout},
};

use crate::{exit::Fault, process};

/// How long a process may take to say where it listens.
const START: Duration = Duration::from_secs(20);
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(8);

/// A running process.
pub(super) struct Child {
    pub(super) name: String,
    pub(super) log: PathBuf,
    process: Process,
    group: Option<Pid>,
}

impl Child {
    /// Starts it with a bare environment and what is given. It ends when we do, unless it is `kept`.
    pub(super) fn start(
        name: &str,
        args: &[String],
        env: &[(String, String)],
        dir: &Path,
        kept: bool,
    ) -> Result<Self, Fault> {
        let failed = |error: std::io::Error| Fault::failed(format!("{name} cannot be started: {error}"));
        let log = dir.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        // The demo is the same on every machine.
        command
            .arg("--no-config")
            .args(args)
            .env_clear()
            .envs(inherited())
            .envs(env.iter().cloned());
        command.stdout(Stdio::piped()).stderr(file).process_group(0);
        if kept {
            command.stdin(Stdio::null());
        } else {
            command.arg("--until-stdin-closes").stdin(Stdio::piped());
        }
        let process = command.spawn().map_err(failed)?;
        let group = process
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Ok(Self {
            name: name.to_owned(),
            log,
            process,
            group,
        })
    }

    /// Waits for the line that says where it listens.
    pub(super) async fn address(&mut self) -> Result<SocketAddr, Fault> {
        let Some(stdout) = self.process.stdout.take() else {
            return Err(Fault::failed(format!("{} has no output", self.name)));
        };
        let mut line = String::new();
        let read = timeout(START, BufReader::new(stdout).read_line(&mut line)).await;
        match (read, process::address_in(&line)) {
            (Ok(Ok(_)), Some(address)) => Ok(address),
            (Err(_), _) => Err(Fault::failed(format!(
                "{} did not begin to listen within {START:?}",
                self.name
            ))),
            _ => Err(Fault::failed(format!("{} ended before it listened", self.name))),
        }
    }

    /// Whether it has ended though nobody asked it to.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Its process group, for people.
    pub(super) fn pid(&self) -> Option<i32> {
        self.group.map(Pid::as_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may be gone already.
            let _gone = killpg(group, signal);
        }
    }

    /// TERM, grace, KILL, to the group; then it is gone.
    pub(super) async fn stop(&mut self) {
        if self.has_ended() {
            return;
        }
        self.signal(Signal::SIGTERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            if self.has_ended() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        self.signal(Signal::SIGKILL);
        let _status = self.process.wait().await;
    }

    /// The last lines of its log.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Child {
    /// Only when [`Child::stop`] was not reached: a panic, say.
    fn drop(&mut self) {
        if self.group.is_some() && !self.has_ended() {
            self.signal(Signal::SIGKILL);
        }
    }
}

impl Child {
    /// Lets it live on.
    pub(super) fn release(mut self) {
        self.group = None;
    }
}

/// What every process gets of our environment; nothing else, so that no secret strays into one.
fn inherited() -> impl Iterator<Item = (String, String)> {
    const NAMES: [&str; 5] = ["PATH", "TMPDIR", "LANG", "FIREHALL_LOG", "RUST_BACKTRACE"];
    NAMES
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}
