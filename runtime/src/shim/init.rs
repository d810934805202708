//! Pid 1 of the step, and the last moments before its program: forked from the shim's memory, so nothing has to be in
//! the root for it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::setup::Shim;
use super::status::{Said, say};
use super::user;
use crate::Who;
use crate::cgroup::Layout;
use crate::ready::{Prober, Readiness};
use crate::{Hardening, LimitsBy, Program, StartError, StartErrorKind, clock, sys};

/// Exit code of pid 1 when the program was not executed; the status pipe says why.
const NOT_EXECUTED: i32 = 127;

/// A service without a command of its own whose image has none either.
pub const NO_COMMAND: &str = "the image says no program to run: add `command` or `run` to the service";

/// All that is needed after the fork, made before it.
#[derive(Clone)]
pub(super) struct Plan {
    inner: Arc<Inner>,
}

struct Inner {
    /// None: it holds what others join, until it is told to end.
    program: Option<Program>,
    prober: Mutex<Option<Prober>>,
    status: RawFd,
    alive_read: RawFd,
    alive_write: RawFd,
    /// What pid 1 has to do itself where no root did it.
    own: Option<Own>,
}

/// Whom it becomes, and what each of its processes may take where no group holds them together.
struct Own {
    who: Who,
    each: Option<Each>,
}

struct Each {
    memory_bytes: u64,
    /// Pid 1 included.
    processes: u64,
}

impl Plan {
    pub(super) fn new(
        shim: &Shim,
        who: &Who,
        status: &OwnedFd,
        alive_read: &OwnedFd,
        alive_write: &OwnedFd,
    ) -> Result<Self, StartError> {
        let (program, prober) = programs(shim)?;
        let inner = Inner {
            program,
            prober: Mutex::new(prober),
            status: status.as_raw_fd(),
            alive_read: alive_read.as_raw_fd(),
            alive_write: alive_write.as_raw_fd(),
            own: shim.rootless.then(|| Own {
                who: who.clone(),
                each: matches!(shim.layout, Layout::None(_)).then(|| Each {
                    memory_bytes: shim.spec.memory_bytes,
                    processes: u64::from(shim.spec.pids) + 1,
                }),
            }),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// What it runs, and what looks whether that is ready; with what the image says where the step says nothing.
fn programs(shim: &Shim) -> Result<(Option<Program>, Option<Prober>), StartError> {
    let mut spec = shim.spec.clone();
    spec.workdir = Some(shim.workdir().to_owned());
    let base = shim.rootfs.as_ref().map(|rootfs| rootfs.env.as_slice());
    let base = base.unwrap_or_default();
    let prober = Prober::new(&spec, base, &shim.secrets)?;
    if spec.pod.holds {
        return Ok((None, prober));
    }
    if let (true, Some(rootfs)) = (spec.argv.is_empty(), &shim.rootfs) {
        spec.argv.clone_from(&rootfs.command);
    }
    if spec.argv.is_empty() {
        return Err(StartError::new(StartErrorKind::Spec, NO_COMMAND));
    }
    Ok((Some(Program::new(&spec, base, &shim.secrets)?), prober))
}

/// Makes the calling process die with the shim. Without this a shim that is killed between create and start would leave
/// a process that waits for ever.
pub(super) fn die_with_shim(plan: &Plan) -> Result<(), String> {
    // Our copy of the write end must go, or the pipe could never tell that the shim is dead already.
    sys::close_raw(plan.inner.alive_write);
    follow(plan.inner.alive_read)
}

fn follow(alive: RawFd) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("PR_SET_PDEATHSIG: {error}"))?;
    if sys::pipe_is_dead(alive) {
        return Err("the shim is gone".to_owned());
    }
    Ok(())
}

/// The life of pid 1: harden, start the program, pass TERM on, reap, say how it ended. Returns the exit code.
pub(super) fn run(plan: &Plan) -> i32 {
    let plan = &*plan.inner;
    let refused = |error| {
        say(plan.status, &Said::Failed(error));
        NOT_EXECUTED
    };
    let main = match become_step(plan)
        .and_then(|()| harden(plan))
        .and_then(|hardening| {
            say(plan.status, &Said::Hardening(hardening));
            if plan.program.is_none() {
                return Ok(None);
            }
            sys::fork_single_threaded()
                .map_err(|error| StartError::runtime("cannot fork the main process", error))
        }) {
        Ok(main) => main,
        Err(error) => return refused(error),
    };
    if let (None, Some(program)) = (main, &plan.program) {
        return refused(program.execute());
    }
    for stdio in 0..3 {
        sys::close_raw(stdio);
    }
    let mut prober = plan.prober.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(prober) = &mut prober {
        prober.begin();
    }
    match supervise(plan.status, main, prober) {
        Ok(code) => code,
        Err(error) => refused(StartError::runtime("cannot wait for the main process", error)),
    }
}

/// Without root: the step's user, and its limits where each process has them of its own.
fn become_step(plan: &Inner) -> Result<(), StartError> {
    let Some(own) = &plan.own else { return Ok(()) };
    let failed =
        |what: &str, cause: String| StartError::new(StartErrorKind::Hardening, format!("{what}: {cause}"));
    user::become_step(&own.who).map_err(|error| failed("the step's user", error.to_string()))?;
    // A change of credentials may take the signal back (prctl(2)).
    follow(plan.alive_read).map_err(|error| failed("its end with the shim", error))?;
    let Some(each) = &own.each else { return Ok(()) };
    for (limit, value) in [
        (Resource::RLIMIT_DATA, each.memory_bytes),
        (Resource::RLIMIT_NPROC, each.processes),
    ] {
        setrlimit(limit, value, value).map_err(|error| failed("setrlimit", error.to_string()))?;
    }
    Ok(())
}

/// The filter and the proof that it holds: a step that is not contained is not run.
fn harden(plan: &Inner) -> Result<Hardening, StartError> {
    let failed =
        |what: &str, cause: String| StartError::new(StartErrorKind::Hardening, format!("{what}: {cause}"));
    prctl::set_dumpable(false).map_err(|error| failed("PR_SET_DUMPABLE", error.to_string()))?;
    sys::close_from(3, Some(plan.status)).map_err(|error| failed("close_range", error.to_string()))?;
    let mut hardening = Program::contain(plan.program.as_ref())?;
    if plan.own.as_ref().is_some_and(|own| own.each.is_some()) {
        let limit = |resource| match getrlimit(resource) {
            Ok((_, hard)) if hard != libc::RLIM_INFINITY => Some(hard),
            _ => None,
        };
        hardening.limits = LimitsBy::Process;
        hardening.memory_limit_bytes = limit(Resource::RLIMIT_DATA);
        hardening.pids_limit = limit(Resource::RLIMIT_NPROC);
    }
    Ok(hardening)
}

/// Waits for signals until the main process is gone, or TERM when there is none; the kernel then ends whatever is left in
/// the namespace.
fn supervise(status: RawFd, main: Option<Pid>, mut prober: Option<Prober>) -> nix::Result<i32> {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGCHLD);
    wanted.add(Signal::SIGTERM);
    let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    loop {
        let news = prober.as_mut().and_then(Prober::turn);
        tell(status, news, &mut prober);
        sleep(&signals, prober.as_ref().map(Prober::wake))?;
        while let Some(signal) = signals.read_signal()? {
            if signal.ssi_signo == Signal::SIGTERM as u32 {
                // To all: a shell that waits for a child runs its trap only after the child's end. ESRCH means that
                // there is nobody left.
                let _nobody = kill(Pid::from_raw(-1), Signal::SIGTERM);
                if main.is_none() {
                    say(status, &Said::Exited(0));
                    return Ok(0);
                }
            }
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if Some(pid) == main => {
                    say(status, &Said::Exited(code));
                    return Ok(code);
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if Some(pid) == main => {
                    say(status, &Said::Signaled(signal as i32));
                    return Ok(128 + signal as i32);
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(ended) => {
                    let news = prober.as_mut().and_then(|prober| prober.reaped(ended));
                    tell(status, news, &mut prober);
                }
                Err(_) => {}
            }
        }
    }
}

/// Says what came of the looking, which is over then.
fn tell(status: RawFd, news: Option<Readiness>, prober: &mut Option<Prober>) {
    if let Some(news) = news {
        say(status, &Said::Readiness(news));
        *prober = None;
    }
}

/// Until a signal comes, or until then.
fn sleep(signals: &SignalFd, wake: Option<Duration>) -> nix::Result<()> {
    let timeout = wake.map_or(PollTimeout::NONE, |wake| {
        // Rounded up, or the last millisecond would be spun away.
        let left = wake.saturating_sub(clock::boot()).as_micros().div_ceil(1000);
        PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}
