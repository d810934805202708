//! Pid 1 of the step, and the last moments before its program: forked from the shim's memory, so nothing has to be in
//! the root for it.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, execve};
use seccompiler::BpfProgram;

use super::setup::Shim;
use super::status::{Said, say};
use crate::{Hardening, StartError, StartErrorKind, seccomp, sys};

/// Where programs are looked up when the step's environment does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Exit code of pid 1 when the program was not executed; the status pipe says why.
const NOT_EXECUTED: i32 = 127;

/// All that is needed after the fork, made before it.
#[derive(Clone)]
pub(super) struct Plan {
    inner: Arc<Inner>,
}

struct Inner {
    argv: Vec<CString>,
    env: Vec<CString>,
    candidates: Vec<CString>,
    program: String,
    workdir: CString,
    from_image: bool,
    filters: Vec<BpfProgram>,
    status: RawFd,
    alive_read: RawFd,
    alive_write: RawFd,
}

impl Plan {
    pub(super) fn new(
        shim: &Shim,
        status: &OwnedFd,
        alive_read: &OwnedFd,
        alive_write: &OwnedFd,
    ) -> Result<Self, StartError> {
        let spec = &shim.spec;
        let filters = seccomp::programs().map_err(|error| StartError::runtime("seccomp", error))?;
        let env = environment(shim);
        let program = spec.argv.first().cloned().unwrap_or_default();
        let path = env
            .iter()
            .rev()
            .find(|(name, _)| name == "PATH")
            .map_or(PATH, |(_, value)| value.as_str());
        let candidates = candidates(&program, path)
            .into_iter()
            .map(text)
            .collect::<Result<_, _>>()?;
        let inner = Inner {
            argv: spec.argv.iter().cloned().map(text).collect::<Result<_, _>>()?,
            env: env
                .iter()
                .map(|(name, value)| text(format!("{name}={value}")))
                .collect::<Result<_, _>>()?,
            candidates,
            program,
            workdir: text(shim.workdir().to_owned())?,
            from_image: shim.rootfs.is_some(),
            filters,
            status: status.as_raw_fd(),
            alive_read: alive_read.as_raw_fd(),
            alive_write: alive_write.as_raw_fd(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

fn text(text: String) -> Result<CString, StartError> {
    CString::new(text).map_err(|_| {
        StartError::new(
            StartErrorKind::Spec,
            "a NUL byte in the program, its arguments or its environment",
        )
    })
}

/// Defaults, the image's, the step's own, then secrets: a later name takes the place of an earlier one.
fn environment(shim: &Shim) -> Vec<(String, String)> {
    let defaults = [
        ("PATH", PATH),
        ("HOME", "/tmp"),
        ("FIREHALL_OUTPUT", "/run/firehall/output"),
        ("FIREHALL_DEGRADED", "/run/firehall/degraded"),
    ];
    let mut env: Vec<(String, String)> = Vec::new();
    let defaults = defaults
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let image = shim.rootfs.iter().flat_map(|rootfs| rootfs.env.iter().cloned());
    for (name, value) in defaults
        .chain(image)
        .chain(shim.spec.env.iter().cloned())
        .chain(shim.secrets.iter().cloned())
    {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => env.push((name, value)),
        }
    }
    env
}

/// A name with a slash is a path; any other is looked up, as execvp(3) does.
fn candidates(program: &str, path: &str) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    path.split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| format!("{dir}/{program}"))
        .collect()
}

/// Makes the calling process die with the shim. Without this a shim that is killed between create and start would leave
/// a process that waits for ever.
pub(super) fn die_with_shim(plan: &Plan) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("PR_SET_PDEATHSIG: {error}"))?;
    // Our copy of the write end must go, or the pipe could never tell that the shim is dead already.
    sys::close_raw(plan.inner.alive_write);
    if sys::pipe_is_dead(plan.inner.alive_read) {
        return Err("the shim is gone".to_owned());
    }
    Ok(())
}

/// The life of pid 1: harden, start the program, pass TERM on, reap, say how it ended. Returns the exit code.
pub(super) fn run(plan: &Plan) -> i32 {
    let plan = &*plan.inner;
    let main = match harden(plan).and_then(|hardening| {
        say(plan.status, &Said::Hardening(hardening));
        sys::fork_single_threaded()
            .map_err(|error| StartError::runtime("cannot fork the main process", error))
    }) {
        Ok(Some(main)) => main,
        Ok(None) => {
            let error = execute(plan);
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

/// The filter and the proof that it holds: a step that is not contained is not run.
fn harden(plan: &Inner) -> Result<Hardening, StartError> {
    let failed =
        |what: &str, cause: String| StartError::new(StartErrorKind::Hardening, format!("{what}: {cause}"));
    prctl::set_dumpable(false).map_err(|error| failed("PR_SET_DUMPABLE", error.to_string()))?;
    sys::close_from(3, Some(plan.status)).map_err(|error| failed("close_range", error.to_string()))?;
    for filter in &plan.filters {
        seccompiler::apply_filter(filter).map_err(|error| failed("seccomp", error.to_string()))?;
    }
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| failed("/proc/self/status", error.to_string()))?;
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).unwrap_or_default().to_owned()
    };
    let found = Hardening {
        no_new_privs: field("NoNewPrivs") == "1",
        seccomp: field("Seccomp").parse().unwrap_or(0),
        cap_effective: field("CapEff"),
        cap_bounding: field("CapBnd"),
        host_uid_base: 0,
        memory_limit_bytes: None,
        pids_limit: None,
    };
    let none = |caps: &str| !caps.is_empty() && caps.chars().all(|digit| digit == '0');
    let caps = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    if !found.no_new_privs || found.seccomp != 2 || !caps.iter().all(|set| none(&field(set))) {
        return Err(failed("not in force", format!("{found:?}")));
    }
    Ok(found)
}

/// In the main process: becomes the program, or says why not.
fn execute(plan: &Inner) -> StartError {
    // Rust ignores SIGPIPE, and an ignored signal stays ignored over exec.
    if let Err(error) = sys::reset_signal(Signal::SIGPIPE) {
        return StartError::runtime("cannot reset SIGPIPE", error);
    }
    if let Err(error) = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None) {
        return StartError::runtime("cannot unblock signals", error);
    }
    if let Err(error) = chdir(plan.workdir.as_c_str()) {
        let dir = plan.workdir.to_string_lossy();
        return StartError::new(
            StartErrorKind::Workdir,
            format!("cannot enter the working directory {dir}: {}", error.desc()),
        );
    }
    let mut refused = None;
    for candidate in &plan.candidates {
        let Err(error) = execve(candidate, &plan.argv, &plan.env);
        match error {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => refused = Some(error),
            _ => {
                refused = Some(error);
                break;
            }
        }
    }
    let program = &plan.program;
    match refused {
        None => {
            let remedy = if plan.from_image {
                "the image does not have it, or it needs a loader that the image does not have: check PATH or take another image"
            } else {
                "install it on the agent's host below /usr, or check PATH"
            };
            StartError::new(
                StartErrorKind::NotFound,
                format!("program {program:?} not found: {remedy}"),
            )
        }
        Some(error) => StartError::new(
            StartErrorKind::NotExecutable,
            format!("program {program:?} cannot be executed: {}", error.desc()),
        ),
    }
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
