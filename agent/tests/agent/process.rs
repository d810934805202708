//! The agent as a process that can be killed, and a witness that it never reads.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::fake::PATIENCE;

const AGENT: &str = env!("CARGO_BIN_EXE_agent-under-test");

pub(crate) struct Agent {
    child: Child,
}

impl Agent {
    pub(crate) fn spawn(server: &str, dir: &Path) -> Self {
        Self::with(server, dir, &[])
    }

    /// With secrets in its environment.
    pub(crate) fn with(server: &str, dir: &Path, env: &[(&str, &str)]) -> Self {
        let child = Command::new(AGENT)
            .arg("run")
            .arg(server)
            .arg(dir)
            .args(["network:host", "host-view:proc"])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// With a file that says what steps may ask for, and no grant beside it.
    pub(crate) fn with_file(server: &str, dir: &Path, file: &Path, env: &[(&str, &str)]) -> Self {
        let child = Command::new(AGENT)
            .arg("run")
            .arg(server)
            .arg(dir)
            .env("AGENT_FILE", file)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }

    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// TERM; its exit code.
    pub(crate) async fn end(mut self) -> Option<i32> {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the agent does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Steps on the host's network tell it what they do.
pub(crate) struct Witness {
    pub port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Witness {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        std::thread::spawn(move || {
            // One after the other, so that what was said first is heard first; a caller that says nothing holds up nobody for long.
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    seen.lock().unwrap().push(line);
                }
            }
        });
        Self { port, lines }
    }

    /// A bash line that says a word to it.
    pub(crate) fn say(&self, word: &str) -> String {
        format!("echo {word} > /dev/tcp/127.0.0.1/{}\n", self.port)
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) async fn until(&self, word: &str) {
        let begun = Instant::now();
        while !self.heard().iter().any(|line| line == word) {
            assert!(begun.elapsed() < PATIENCE, "the witness never heard {word}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Waits until nothing of an attempt is left in the agent's directory.
pub(crate) async fn swept(dir: &Path) {
    let begun = Instant::now();
    loop {
        let left: Vec<_> = std::fs::read_dir(dir.join("attempts"))
            .unwrap()
            .flatten()
            .map(|e| e.path())
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "left behind: {left:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
