//! The shim's one loop: output, signals and the clock until the container is gone.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::pump::Pump;
use super::setup::Shim;
use super::status::Status;
use crate::attempt_dir::READY;
use crate::ready::Readiness;
use crate::{StreamRecord, clock};

/// After the container's end its pipes have no writer left; this only bounds a kernel that thinks otherwise.
const DRAIN: Duration = Duration::from_secs(5);

/// The step's streams on their way to their files.
pub(super) struct Streams {
    out: Pump,
    err: Pump,
}

impl Streams {
    /// Opens the files: before the start, so that no step runs unseen.
    pub(super) fn open(shim: &Shim, out: OwnedFd, err: OwnedFd) -> io::Result<Self> {
        let cap = shim.spec.log_cap_bytes;
        Ok(Self {
            out: Pump::new(out, &shim.dir.stdout(), cap)?,
            err: Pump::new(err, &shim.dir.stderr(), cap)?,
        })
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub init_code: Option<i32>,
    pub init_signal: Option<i32>,
    pub timed_out: bool,
    pub stopped: bool,
    pub killed: bool,
    pub not_ready: Option<String>,
    pub stdout: StreamRecord,
    pub stderr: StreamRecord,
}

/// How far the end has been brought on.
enum Phase {
    /// Until the timeout.
    Running { until: Duration },
    /// TERM was sent.
    Ending { until: Duration },
    /// KILL was sent.
    Killed,
}

/// Watches until the container's first process is gone and its streams are read to their end.
pub(super) fn until_end(shim: &Shim, init: Pid, streams: Streams, status: &mut Status) -> Seen {
    let mut seen = Seen::default();
    let Streams { mut out, mut err } = streams;
    let mut phase = Phase::Running {
        until: clock::boot() + Duration::from_millis(shim.spec.timeout_ms),
    };
    let mut buffer = vec![0; 64 * 1024];
    let mut drain_until = None;
    loop {
        let gone = drain_until.is_some();
        if gone && out.fd().is_none() && err.fd().is_none() {
            break;
        }
        let wake = drain_until.or_else(|| phase.deadline());
        if let Err(error) = wait(shim, &out, &err, status, wake) {
            eprintln!("firehall shim: poll: {error}");
        }
        out.turn(&mut buffer);
        err.turn(&mut buffer);
        if let Some(readiness) = status.turn() {
            hear(shim, readiness, &mut seen);
        }
        if drain_until.is_some_and(|until| clock::boot() >= until) {
            break;
        }
        if gone {
            continue;
        }
        phase = advance(phase, shim, init, &mut seen);
        if reaped(init, &mut seen) {
            drain_until = Some(clock::boot() + DRAIN);
        }
    }
    seen.stdout = out.finish();
    seen.stderr = err.finish();
    seen
}

impl Phase {
    fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Running { until } | Self::Ending { until } => Some(*until),
            Self::Killed => None,
        }
    }
}

/// Reads the signals and the clock and sends what is due.
fn advance(phase: Phase, shim: &Shim, init: Pid, seen: &mut Seen) -> Phase {
    while let Ok(Some(signal)) = shim.signals.read_signal() {
        if signal.ssi_signo == Signal::SIGTERM as u32 {
            seen.stopped = true;
        }
    }
    let now = clock::boot();
    let grace = Duration::from_millis(shim.spec.grace_ms);
    match phase {
        Phase::Running { until } if seen.stopped || seen.not_ready.is_some() || now >= until => {
            seen.timed_out = !seen.stopped && seen.not_ready.is_none();
            send(init, Signal::SIGTERM);
            Phase::Ending { until: now + grace }
        }
        Phase::Ending { until } if now >= until => {
            // To pid 1 of the namespace: the kernel kills all the others with it.
            seen.killed = true;
            send(init, Signal::SIGKILL);
            Phase::Killed
        }
        phase => phase,
    }
}

/// Tells the agent that it is ready, or ends what did not get so.
fn hear(shim: &Shim, readiness: Readiness, seen: &mut Seen) {
    match readiness {
        Readiness::Ready(after_ms) => {
            let line = format!("{after_ms}\n");
            if let Err(error) = std::fs::write(shim.dir.path().join(READY), line) {
                eprintln!("firehall shim: it is ready, and that cannot be written: {error}");
                seen.not_ready = Some(format!("it is, and that cannot be written: {error}"));
            }
        }
        Readiness::GaveUp(why) => seen.not_ready = Some(why),
    }
}

fn send(init: Pid, signal: Signal) {
    // The init is our child and not yet waited for: its number cannot have been used again.
    if let Err(error) = kill(init, signal) {
        eprintln!("firehall shim: cannot send {signal}: {error}");
    }
}

/// Waits for children that ended, ours and adopted ones; true once the container's first process is among them.
fn reaped(init: Pid, seen: &mut Seen) -> bool {
    let mut gone = false;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == init => (seen.init_code, gone) = (Some(code), true),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == init => {
                (seen.init_signal, gone) = (Some(signal as i32), true);
            }
            Ok(WaitStatus::StillAlive) => return gone,
            Err(Errno::ECHILD) => return true,
            Ok(_) | Err(_) => {}
        }
    }
}

fn wait(shim: &Shim, out: &Pump, err: &Pump, status: &Status, wake: Option<Duration>) -> io::Result<()> {
    let mut fds = vec![PollFd::new(shim.signals.as_fd(), PollFlags::POLLIN)];
    fds.extend(
        [out, err]
            .into_iter()
            .filter_map(Pump::fd)
            .chain(status.fd())
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN)),
    );
    let timeout = match wake {
        None => PollTimeout::NONE,
        Some(wake) => {
            // Rounded up, or the last millisecond would be spun away.
            let left = wake.saturating_sub(clock::boot()).as_micros().div_ceil(1000);
            PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
