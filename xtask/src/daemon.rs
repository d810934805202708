//! A Docker daemon for the tests: the one that runs, or one of our own for as long as they take.

use std::{
    fs::File,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::sh;

const SOCKET: &str = "/var/run/docker.sock";
/// How long it may take to come up, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take to leave.
const LEAVE: Duration = Duration::from_secs(30);

/// A daemon that answers; ended with this value if it is ours.
pub(crate) struct Daemon(Option<Child>);

impl Daemon {
    /// Finds one, or starts one.
    ///
    /// # Errors
    /// None runs and none can be started: its last words.
    pub(crate) fn ensure() -> Result<Self> {
        if answers() {
            println!("a docker daemon runs already");
            return Ok(Self(None));
        }
        let log = sh::target_dir().join("dockerd.log");
        let file = File::create(&log).context("the daemon's log")?;
        let child = Command::new("dockerd")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("cannot start dockerd")?;
        let mut daemon = Self(Some(child));
        let until = Instant::now() + PATIENCE;
        while !answers() {
            let ended = daemon.0.as_mut().and_then(|child| child.try_wait().transpose());
            if ended.is_some() || Instant::now() >= until {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<&str> = text.lines().rev().take(10).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                bail!(
                    "dockerd does not come up; {} ends with\n{}",
                    log.display(),
                    last.join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("started a docker daemon; its log is {}", log.display());
        Ok(daemon)
    }
}

fn answers() -> bool {
    UnixStream::connect(SOCKET).is_ok()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        let asked = sh::Cmd::new("kill").args([child.id().to_string()]).run();
        let until = Instant::now() + LEAVE;
        while asked.is_ok() && Instant::now() < until {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // It did not leave when it was asked; nothing of the tests needs it any more.
        let _gone = child.kill().and_then(|()| child.wait());
    }
}
