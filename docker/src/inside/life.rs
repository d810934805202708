//! From the word to go to the last process: one loop over output, signals and the clock.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, pipe2};
use runtime::kit::{Prober, Pump, Readiness, boot, fork_single_threaded, wall_ms};
use runtime::{ContainerSpec, ExitRecord, Hardening, Program, StartError};

use super::door::Files;
use super::{NOT_EXECUTED, Programs, account, results};
use crate::wire::Left;

/// After the last process the pipes have no writer left; this only bounds a kernel that thinks otherwise.
const DRAIN: Duration = Duration::from_secs(5);

/// Memory that pid 1 has from the start and gives back for the end: a step that filled its memory with files leaves none for
/// the record. Large enough for the C library to give it back to the kernel.
const RESERVE: usize = 512 * 1024;

/// Runs the program to its end and leaves the record. Returns the exit code for the daemon.
pub(super) fn live(
    files: Files,
    spec: &ContainerSpec,
    programs: Programs,
    hardening: Hardening,
    signals: &SignalFd,
) -> io::Result<u8> {
    let begun = boot();
    // Touched, not only asked for.
    let reserve = std::hint::black_box(vec![1_u8; RESERVE]);
    let mut record = ExitRecord {
        started_at_ms: wall_ms(),
        hardening: Some(hardening),
        ..ExitRecord::default()
    };
    let mut step = Step {
        signals,
        halt: files.halt,
        spec,
        main: None,
        phase: Phase::Running {
            until: begun + Duration::from_millis(spec.timeout_ms),
        },
        record: &mut record,
        prober: programs.prober,
        ready: files.ready,
        reserve: Some(reserve),
    };
    if let Err(error) = step.run(files.out, files.err, programs.main.as_ref()) {
        record.start_error = Some(error);
        record.started = false;
    }
    results::collect("output", files.output, &mut record);
    results::collect("degraded", files.degraded, &mut record);
    if record.started {
        results::keep(spec, files.artifacts, &mut record);
    }
    let used = account::used();
    record.cpu_ms = millis(used.cpu);
    record.peak_memory_bytes = used.peak_memory_bytes;
    record.oom_kills = used.oom_kills;
    record.finished_at_ms = wall_ms();
    record.duration_ms = millis(boot().saturating_sub(begun));
    let code = match (record.code, record.signal) {
        (Some(code), _) => u8::try_from(code & 0xff).unwrap_or(NOT_EXECUTED),
        (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(NOT_EXECUTED),
        (None, None) => NOT_EXECUTED,
    };
    results::leave(files.record, &Left::Ended(Box::new(record)))?;
    Ok(code)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How far the end has been brought on.
enum Phase {
    /// Until the timeout.
    Running { until: Duration },
    /// TERM was sent.
    Ending { until: Duration },
    /// KILL was sent, or the main process is gone.
    Over,
}

struct Step<'a> {
    signals: &'a SignalFd,
    halt: File,
    spec: &'a ContainerSpec,
    main: Option<Pid>,
    phase: Phase,
    record: &'a mut ExitRecord,
    prober: Option<Prober>,
    ready: File,
    reserve: Option<Vec<u8>>,
}

impl Step<'_> {
    fn run(&mut self, out: File, err: File, program: Option<&Program>) -> Result<(), StartError> {
        let failed = |what: &'static str| move |error: io::Error| StartError::runtime(what, error);
        results::make().map_err(failed("cannot make the step's files"))?;
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|error| failed("cannot make a pipe")(error.into()));
        let ((out_read, out_write), (err_read, err_write)) = (pipe()?, pipe()?);
        // Carries the error of a program that could not be executed; closed by the execution of one that could.
        let (why_read, why_write) = pipe()?;
        let null = File::open("/dev/null").map_err(failed("/dev/null"))?;
        let cap = self.spec.log_cap_bytes;
        let mut out = Pump::into_file(out_read, out, cap).map_err(failed("standard output"))?;
        let mut err = Pump::into_file(err_read, err, cap).map_err(failed("standard error"))?;
        if let Some(program) = program {
            match fork_single_threaded() {
                Ok(Some(main)) => self.main = Some(main),
                Ok(None) => become_program(program, &null, &out_write, &err_write, why_write),
                Err(error) => return Err(StartError::runtime("cannot fork the main process", error)),
            }
        }
        drop((out_write, err_write, why_write));
        let mut why = String::new();
        File::from(why_read)
            .read_to_string(&mut why)
            .map_err(failed("the program's start"))?;
        self.record.started = why.is_empty();
        if let Some(prober) = &mut self.prober {
            prober.begin();
        }
        self.watch(&mut out, &mut err);
        self.record.stdout = out.finish();
        self.record.stderr = err.finish();
        if why.is_empty() {
            Ok(())
        } else {
            (self.record.code, self.record.signal) = (None, None);
            Err(serde_json::from_str(&why)
                .unwrap_or_else(|_| StartError::runtime("the program's start", why)))
        }
    }

    fn watch(&mut self, out: &mut Pump, err: &mut Pump) {
        let mut buffer = vec![0; 64 * 1024];
        let mut drain_until = None;
        loop {
            let gone = drain_until.is_some();
            if gone && out.fd().is_none() && err.fd().is_none() {
                return;
            }
            self.sleep(out, err, drain_until);
            out.turn(&mut buffer);
            err.turn(&mut buffer);
            if drain_until.is_some_and(|until| boot() >= until) {
                return;
            }
            if gone {
                continue;
            }
            self.look();
            self.advance();
            if self.reap() || self.is_let_go() {
                // The step is over with its main process: nothing of it lives on.
                let _nobody = kill(Pid::from_raw(-1), Signal::SIGKILL);
                self.phase = Phase::Over;
                while matches!(waitpid(None, None), Ok(_) | Err(Errno::EINTR)) {}
                self.reserve = None;
                drain_until = Some(boot() + DRAIN);
            }
        }
    }

    /// Looks whether it is ready, where somebody asked.
    fn look(&mut self) {
        if let Some(news) = self.prober.as_mut().and_then(Prober::turn) {
            self.hear(news);
        }
    }

    /// Tells the agent that it is ready, or ends what did not get so.
    fn hear(&mut self, news: Readiness) {
        self.prober = None;
        match news {
            Readiness::Ready(after_ms) => {
                if let Err(error) = self.ready.write_all(format!("{after_ms}\n").as_bytes()) {
                    self.record.not_ready = Some(format!("it is, and that cannot be written: {error}"));
                }
            }
            Readiness::GaveUp(why) => self.record.not_ready = Some(why),
        }
    }

    /// What only holds something for others ends when it is told to.
    fn is_let_go(&mut self) -> bool {
        let over = self.main.is_none() && !matches!(self.phase, Phase::Running { .. });
        if over {
            self.record.code = Some(0);
        }
        over
    }

    /// Reads signals, the wish to stop and the clock, and sends what is due. To all: a shell that waits for a child runs
    /// its trap only after the child's end.
    fn advance(&mut self) {
        let (mut stop, mut outside) = (false, false);
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo == Signal::SIGTERM as u32 {
                match signal.ssi_pid {
                    // From outside of our process namespace; we ourselves write to the pipe instead.
                    0 => outside = true,
                    _ => self.send(Signal::SIGTERM),
                }
            }
        }
        let mut byte = [0];
        stop |= matches!(self.halt.read(&mut byte), Ok(1));
        self.record.stopped |= stop && !self.record.timed_out;
        if outside && !self.record.stopped && !self.record.timed_out {
            let by =
                "TERM came from outside of the container: docker stop, or the daemon or the host going down";
            self.record.ended_by.get_or_insert_with(|| by.to_owned());
        }
        let now = boot();
        let grace = Duration::from_millis(self.spec.grace_ms);
        match self.phase {
            Phase::Running { until } if self.is_asked() || now >= until => {
                self.record.timed_out = !self.is_asked();
                self.send(Signal::SIGTERM);
                self.phase = Phase::Ending { until: now + grace };
            }
            Phase::Ending { until } if now >= until => {
                self.record.killed_after_grace = true;
                self.send(Signal::SIGKILL);
                self.phase = Phase::Over;
            }
            Phase::Running { .. } | Phase::Ending { .. } | Phase::Over => {}
        }
    }

    fn is_asked(&self) -> bool {
        self.record.stopped || self.record.ended_by.is_some() || self.record.not_ready.is_some()
    }

    /// To every process but us; that there is none is fine.
    #[expect(clippy::unused_self, reason = "only a living step sends signals")]
    fn send(&self, signal: Signal) {
        let _nobody = kill(Pid::from_raw(-1), signal);
    }

    /// Waits for children that ended, ours and adopted ones; true once the main process is among them.
    fn reap(&mut self) -> bool {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if Some(pid) == self.main => {
                    self.record.code = Some(code);
                    return true;
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if Some(pid) == self.main => {
                    self.record.signal = Some(signal as i32);
                    return true;
                }
                Ok(WaitStatus::StillAlive) => return false,
                Err(Errno::ECHILD) => return self.main.is_some(),
                Ok(ended) => {
                    if let Some(news) = self.prober.as_mut().and_then(|prober| prober.reaped(ended)) {
                        self.hear(news);
                    }
                }
                Err(_) => {}
            }
        }
    }

    fn sleep(&self, out: &Pump, err: &Pump, drain: Option<Duration>) {
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.halt.as_fd(), PollFlags::POLLIN),
        ];
        let pipes = [out, err].into_iter().filter_map(Pump::fd);
        fds.extend(pipes.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let wake = drain.or(match self.phase {
            Phase::Running { until } | Phase::Ending { until } => Some(until),
            Phase::Over => None,
        });
        let look = self.prober.as_ref().map(Prober::wake).filter(|_| drain.is_none());
        let wake = match (wake, look) {
            (Some(wake), Some(look)) => Some(wake.min(look)),
            (wake, look) => wake.or(look),
        };
        let timeout = wake.map_or(PollTimeout::NONE, |wake| {
            // Rounded up, or the last millisecond would be spun away.
            let left = wake.saturating_sub(boot()).as_micros().div_ceil(1000);
            PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        });
        // Interrupted or refused: the loop looks at everything anyway.
        let _ready = poll(&mut fds, timeout);
    }
}

/// The kernel kills by size, and pid 1 is larger than a shell: with it goes all that it knows. So it is to take any process of
/// the step before; a step can give itself no better number than pid 1 has.
fn be_killed_first() {
    // Its file in /proc is root's until a process may be looked into, and nothing of the step runs yet that could.
    let told = prctl::set_dumpable(true)
        .map_err(io::Error::from)
        .and_then(|()| std::fs::write("/proc/self/oom_score_adj", "1000"));
    // Where that cannot be, the daemon's word is what there is.
    let _shut = told.and(prctl::set_dumpable(false).map_err(io::Error::from));
}

/// In the forked process: never returns.
#[expect(clippy::exit, reason = "a forked copy of pid 1 must not go on as pid 1")]
fn become_program(program: &Program, null: &File, out: &OwnedFd, err: &OwnedFd, why: OwnedFd) -> ! {
    let wired = dup2_stdin(null)
        .and_then(|()| dup2_stdout(out))
        .and_then(|()| dup2_stderr(err));
    let error = match wired {
        Ok(()) => {
            be_killed_first();
            program.execute()
        }
        Err(error) => StartError::runtime("cannot wire the standard streams", error),
    };
    if let Ok(json) = serde_json::to_vec(&error) {
        // Nobody is left to be told that this fails; the parent then sees an exit code without a program.
        let _told = File::from(why).write_all(&json);
    }
    std::process::exit(i32::from(NOT_EXECUTED))
}
