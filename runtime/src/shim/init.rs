//! Pid 1 of the step, and the last moments before its program: forked from the shim's memory, so nothing has to be in
//! the root for it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::setup::Shim;
use super::status::{Said, say};
use super::user;
use super::who::Who;
use crate::{Hardening, LimitsBy, Program, StartError, StartErrorKind, sys};

/// Exit code of pid 1 when the program was not executed; the status pipe says why.
const NOT_EXECUTED: i32 = 127;

/// All that is needed after the fork, made before it.
#[derive(Clone)]
pub(super) struct Plan {
    inner: Arc<Inner>,
}

struct Inner {
    program: Program,
    status: RawFd,
    alive_read: RawFd,
    alive_write: RawFd,
    /// What pid 1 has to do itself where no root did it.
    own: Option<Own>,
}

/// Whom it becomes, and what each of its processes may take.
struct Own {
    who: Who,
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
        let inner = Inner {
            program: program(shim)?,
            status: status.as_raw_fd(),
            alive_read: alive_read.as_raw_fd(),
            alive_write: alive_write.as_raw_fd(),
            own: shim.rootless.then(|| Own {
                who: who.clone(),
                memory_bytes: shim.spec.memory_bytes,
                processes: u64::from(shim.spec.pids) + 1,
            }),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// With what the image says where the step says nothing.
fn program(shim: &Shim) -> Result<Program, StartError> {
    let mut spec = shim.spec.clone();
    spec.workdir = Some(shim.workdir().to_owned());
    let image = shim.rootfs.as_ref().map(|rootfs| rootfs.env.as_slice());
    Program::new(&spec, image.unwrap_or_default(), &shim.secrets)
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
    let main = match become_step(plan)
        .and_then(|()| harden(plan))
        .and_then(|hardening| {
            say(plan.status, &Said::Hardening(hardening));
            sys::fork_single_threaded()
                .map_err(|error| StartError::runtime("cannot fork the main process", error))
        }) {
        Ok(Some(main)) => main,
        Ok(None) => {
            let error = plan.program.execute();
            say(plan.status, &Said::Failed(error));
            return NOT_EXECUTED;
        }
        Err(error) => {
            say(plan.status, &Said::Failed(error));
            return NOT_EXECUTED;
        }
    };
    for stdio in 0..3 {
        sys::close_raw(stdio);
    }
    supervise(plan.status, main)
}

/// Without root: the step's user and its limits, which each process then has of its own.
fn become_step(plan: &Inner) -> Result<(), StartError> {
    let Some(own) = &plan.own else { return Ok(()) };
    let failed =
        |what: &str, cause: String| StartError::new(StartErrorKind::Hardening, format!("{what}: {cause}"));
    user::become_step(&own.who).map_err(|error| failed("the step's user", error.to_string()))?;
    // A change of credentials may take the signal back (prctl(2)).
    follow(plan.alive_read).map_err(|error| failed("its end with the shim", error))?;
    for (limit, value) in [
        (Resource::RLIMIT_DATA, own.memory_bytes),
        (Resource::RLIMIT_NPROC, own.processes),
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
    let mut hardening = plan.program.contain()?;
    if plan.own.is_some() {
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

/// Waits for signals until the main process is gone; the kernel then ends whatever is left in the namespace.
fn supervise(status: RawFd, main: Pid) -> i32 {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGCHLD);
    wanted.add(Signal::SIGTERM);
    loop {
        match wanted.wait() {
            // To all: a shell that waits for a child runs its trap only after the child's end.
            Ok(Signal::SIGTERM) => {
                // ESRCH means that there is nobody left.
                let _nobody = kill(Pid::from_raw(-1), Signal::SIGTERM);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return NOT_EXECUTED,
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == main => {
                    say(status, &Said::Exited(code));
                    return code;
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                    say(status, &Said::Signaled(signal as i32));
                    return 128 + signal as i32;
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(_) | Err(_) => {}
            }
        }
    }
}
