//! The binary under test as a child process that never outlives its test.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use crate::wait;

/// The binary: `FIREHALL_BIN`, else beside the test's own target directory.
///
/// # Panics
/// When it was not built: `cargo xtask test` builds it first.
#[must_use]
pub fn binary() -> PathBuf {
    let path = std::env::var_os("FIREHALL_BIN").map_or_else(
        || {
            let exe = std::env::current_exe().expect("a test has a path");
            exe.ancestors()
                .nth(2)
                .expect("target/debug/deps/test")
                .join("firehall")
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is not there: build it first (`cargo build --package cli`)",
        path.display()
    );
    path
}

/// A command of the binary with a bare environment.
#[must_use]
pub fn firehall() -> Command {
    program(&binary())
}

/// A command of a binary at another place, with a bare environment.
#[must_use]
pub fn program(path: &std::path::Path) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("NO_COLOR", "1");
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end, at most a minute.
///
/// # Panics
/// When it cannot be started or does not end.
pub fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Output {
    finish(firehall().args(args))
}

/// Runs a command to its end, at most a minute.
///
/// # Panics
/// When it cannot be started or does not end.
pub fn finish(command: &mut Command) -> Output {
    finish_within(command, Duration::from_secs(60))
}

/// Runs a command to its end, for as long as that.
///
/// # Panics
/// When it cannot be started or does not end.
pub fn finish_within(command: &mut Command, limit: Duration) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let pid = child.id();
    let (tx, rx) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || drop(tx.send(child.wait_with_output())));
    match rx.recv_timeout(limit) {
        Ok(output) => output.expect("its output is read"),
        Err(_) => {
            signal(pid, libc::SIGKILL);
            panic!("a command did not end within {limit:?}: {command:?}");
        }
    }
}

/// A child that is killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts it; its output goes to a file for failing tests.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &std::path::Path) -> Self {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file");
        let twin = file.try_clone().expect("a log file");
        let child = command
            .stdout(file)
            .stderr(twin)
            .spawn()
            .expect("the binary starts");
        Self {
            child,
            name: name.to_owned(),
        }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code once it has ended.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// SIGKILL, and gone.
    ///
    /// # Panics
    /// When it does not go.
    pub fn kill9(&mut self) {
        signal(self.pid(), libc::SIGKILL);
        self.child.wait().expect("a killed child ends");
    }

    /// SIGTERM, and gone within ten seconds.
    ///
    /// # Panics
    /// When it does not go.
    pub fn stop(&mut self) {
        signal(self.pid(), libc::SIGTERM);
        let name = self.name.clone();
        wait::until(&format!("{name} to stop"), Duration::from_secs(15), || {
            self.ended()
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended().is_none() {
            signal(self.pid(), libc::SIGKILL);
            drop(self.child.wait());
        }
    }
}

/// Sends a signal to a process that a test started.
pub fn signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("a pid");
    #[expect(unsafe_code, reason = "kill(2) has no memory to break")]
    // SAFETY: kill takes plain numbers.
    let _sent = unsafe { libc::kill(pid, signal) };
}

/// The shims of attempts below a directory.
#[must_use]
pub fn shims(dir: &std::path::Path) -> Vec<u32> {
    let dir = dir.display().to_string();
    let is_ours = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(" shim ") && line.contains(&dir)
    };
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_ours)
        .collect()
}

/// The memory of a process as `/proc` has it, `VmRSS` for instance, in KiB.
///
/// # Panics
/// When the process is gone or has no such figure.
#[must_use]
pub fn memory_kib(pid: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.expect("a figure in kB")
}

/// The state of a process as `/proc` has it: `T` is stopped.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
