//! A script of `tests/browser/` that drives Chromium against a stack. Test and script meet at named places: the script
//! says where it is and waits, the test does its part and lets it go on.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Stack, process};

/// A script and its browser, from start to end; the script ends itself before.
const PATIENCE: Duration = Duration::from_secs(170);
/// Lines that a script may be ahead of its test.
const AHEAD: usize = 10_000;

/// A running script.
pub struct Script {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    said: Vec<String>,
    errors: Option<JoinHandle<String>>,
    until: Instant,
}

impl Script {
    /// Starts `tests/browser/NAME.mjs`; `given` is an object that it gets beside the URL.
    ///
    /// # Panics
    /// When the packages are not installed, or node is missing.
    #[must_use]
    pub fn start(stack: &Stack, name: &str, given: &Value) -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
        assert!(
            home.join("node_modules/.firehall-lock.json").is_file(),
            "no packages in {}: `cargo xtask test` installs them",
            home.display()
        );
        let mut argument = json!({ "url": stack.url(), "shots": shots() });
        for (key, value) in given.as_object().into_iter().flatten() {
            argument[key] = value.clone();
        }
        let mut child = Command::new("node")
            .arg(home.join(format!("{name}.mjs")))
            .arg(argument.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let (tx, lines) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
        let errors = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
        Self {
            name: name.to_owned(),
            child,
            stdin,
            lines,
            said: Vec::new(),
            errors: Some(errors),
            until: Instant::now() + PATIENCE,
        }
    }

    /// Waits until the script is at this place.
    ///
    /// # Panics
    /// When it ends before, with what it said.
    pub fn reaches(&mut self, place: &str) {
        let wanted = format!("@ {place}");
        while let Some(line) = self.line() {
            if line == wanted {
                return;
            }
            assert!(
                !line.starts_with("@ "),
                "{}: at {line:?}, not {wanted:?}",
                self.name
            );
        }
        self.fails(&format!("it ended before it was at {place:?}"));
    }

    /// Lets the script go on from its place with a word of the test.
    ///
    /// # Panics
    /// When it is gone.
    pub fn goes_on(&mut self, word: &Value) {
        if writeln!(self.stdin, "{word}").is_err() {
            self.fails("it was gone when it should have gone on");
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it failed: with the assertion that did, and the faults of its pages.
    pub fn passes(mut self) {
        while let Some(line) = self.line() {
            assert!(!line.starts_with("@ "), "{}: it waits at {line:?}", self.name);
        }
        let status = self.child.wait().expect("a child can be waited for");
        if !status.success() {
            self.fails(&status.to_string());
        }
        for line in &self.said {
            println!("{}: {line}", self.name);
        }
    }

    /// The next line, none at its end.
    fn line(&mut self) -> Option<String> {
        match self
            .lines
            .recv_timeout(self.until.saturating_duration_since(Instant::now()))
        {
            Ok(line) => {
                self.said.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fails("it took too long"),
        }
    }

    fn fails(&mut self, why: &str) -> ! {
        process::signal(self.child.id(), libc::SIGKILL);
        let errors = self.errors.take().map(JoinHandle::join);
        let errors = errors.and_then(Result::ok).unwrap_or_default();
        panic!(
            "tests/browser/{}.mjs: {why}\n{}\n{errors}",
            self.name,
            self.said.join("\n")
        );
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Chromium ends with the pipe that node held.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a script that needs nothing of its test to its end.
pub fn passes(stack: &Stack, name: &str, given: &Value) {
    Script::start(stack, name, given).passes();
}

/// Where screenshots go, for people to look at: `target/browser`.
fn shots() -> PathBuf {
    let exe = std::env::current_exe().expect("a test has a path");
    let target = exe.ancestors().nth(3).expect("target/debug/deps/test");
    target.join("browser")
}
