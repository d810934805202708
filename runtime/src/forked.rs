//! What a shim that is gone has left, where no cgroup holds it together.
//!
//! A shim and all that libcontainer and it forked before the program was executed have one command line, with the
//! attempt's directory in it. Among them is pid 1 of the step's pid namespace: with its end the kernel ends the rest.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ShimCommand;
use crate::attempt_dir::start_time;
use crate::clock;

/// Processes of one attempt, by number and start time.
pub(crate) struct Forked(Vec<(i32, u64)>);

impl Forked {
    /// All that there are now. A shim that lives is among them.
    pub(crate) fn of(shim: &ShimCommand, dir: &Path) -> io::Result<Self> {
        let mut tail = Vec::new();
        for arg in shim
            .args
            .iter()
            .map(String::as_bytes)
            .chain([dir.as_os_str().as_bytes()])
        {
            tail.push(0);
            tail.extend_from_slice(arg);
        }
        tail.push(0);
        let mut found = Vec::new();
        for entry in fs_err::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that ended meanwhile is what we want.
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.ends_with(&tail)
                && let Some(start) = start_time(pid)
            {
                found.push((pid, start));
            }
        }
        Ok(Self(found))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Ends them and waits until they are gone, and with pid 1 all that it was pid 1 of.
    pub(crate) fn end(&self, wait: Duration) -> io::Result<()> {
        let deadline = clock::boot() + wait;
        for (pid, start) in &self.0 {
            match kill(Pid::from_raw(*pid), Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
            while start_time(*pid) == Some(*start) {
                if clock::boot() >= deadline {
                    return Err(io::Error::other(format!("process {pid} stays")));
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        }
        Ok(())
    }
}
