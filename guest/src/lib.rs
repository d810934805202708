//! A guest of this machine with another kernel: cgroup version 2 alone, whatever the host has.
//!
//! It is User-Mode Linux, Debian's package `user-mode-linux`: a kernel that is a process of the host and needs neither KVM nor a
//! disk. Its root is the host's, read-only, under a layer of memory: it runs the very binaries that were built here, at the same
//! paths, and nothing of the host changes. It has one processor, and its system calls are slow.
//!
//! For tests only.

mod modules;

use std::{
    fs::File,
    io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

const KERNEL: &str = "/usr/bin/linux.uml";
const INIT: &str = include_str!("init.sh");
/// Its memory: taken from the host as it is used.
const MEMORY: &str = "mem=3072M";
/// Before a script's exit code, at its end.
const END: &str = "guest: ";

/// What came of a script.
#[derive(Debug)]
pub struct Told {
    /// All that it and the kernel wrote.
    pub text: String,
    /// The script's exit code; none when the guest ended otherwise, or was ended because it took too long.
    pub code: Option<i32>,
}

/// Runs a shell script as root in a guest, until it ends or the time is over.
///
/// # Errors
/// The guest cannot be started: the package is not installed, or a temporary file cannot be written.
pub fn run(script: &str, patience: Duration) -> io::Result<Told> {
    let dir = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
    write("script", script)?;
    write("modules", &modules::in_order()?)?;
    write("init", &INIT.replace("@DIR@", &dir.path().display().to_string()))?;
    std::fs::set_permissions(dir.path().join("init"), PermissionsExt::from_mode(0o755))?;
    let said = dir.path().join("said");
    let mut kernel = Kernel::start(&dir.path().join("init"), &said)?;
    kernel.wait(patience)?;
    let text = String::from_utf8_lossy(&std::fs::read(said)?).replace('\r', "");
    let code = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(END)?.parse().ok());
    Ok(Told { text, code })
}

/// Runs a script that lets test programs run one after the other.
///
/// # Errors
/// It did not end well, or not so many of them passed with a test or more; all that was said.
pub fn passes(script: &str, programs: usize, patience: Duration) -> Result<(), String> {
    let told = run(script, patience).map_err(|error| error.to_string())?;
    let passed = told.text.matches("test result: ok. ").count() - told.text.matches("ok. 0 passed").count();
    if told.code == Some(0) && passed == programs {
        return Ok(());
    }
    Err(format!("{:?} after\n{}", told.code, told.text))
}

/// It and its own processes, which are one group; all ended when it is dropped.
struct Kernel(Child);

impl Kernel {
    fn start(init: &Path, said: &Path) -> io::Result<Self> {
        let said = File::create(said)?;
        let started = Command::new(KERNEL)
            .args([MEMORY, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"])
            .args(["con=null", "con0=null,fd:1", "quiet", "panic=-1"])
            .arg(format!("init={}", init.display()))
            .stdin(Stdio::null())
            .stderr(said.try_clone()?)
            .stdout(said)
            .process_group(0)
            .spawn();
        started.map(Self).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("{KERNEL} (package user-mode-linux): {error}"),
            )
        })
    }

    fn wait(&mut self, patience: Duration) -> io::Result<()> {
        let begun = Instant::now();
        while self.0.try_wait()?.is_none() && begun.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // What is gone already is no error.
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _gone = self.0.wait();
    }
}
