//! Pid 1 of a step's container: takes its job at the door, contains itself, runs the program, and writes down how it
//! ended. Single-threaded for its whole life: it forks.

mod account;
mod door;
mod life;
mod results;
mod secrets;

use std::io;
use std::process::ExitCode;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use runtime::kit::{NO_COMMAND, Prober};
use runtime::{Image, Program, StartError, StartErrorKind};

use crate::kit::PRELOADED;
use crate::wire::{Answer, Job, Left};
use door::Door;
pub(crate) use results::RUN;
pub(crate) use secrets::SECRETS;

/// The word that starts it: the binary calls [`main`] when it is its only argument.
pub const WORD: &str = "inside";

/// The exit code when nothing was executed: the record says why.
const NOT_EXECUTED: u8 = 125;

/// Runs the step that waits at the door. To be called before there is a thread.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The daemon's log, which the agent reads when nobody came to the door.
            eprintln!("firehall inside: {error}");
            ExitCode::from(NOT_EXECUTED)
        }
    }
}

fn run() -> io::Result<u8> {
    // First of all: no other process of this user may look into this one, now or later.
    prctl::set_dumpable(false)?;
    let signals = block_signals()?;
    let (door, job) = Door::knock()?;
    let prepared = prepare(&job);
    let (programs, hardening) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            door.answer(&Answer::Refused(error))?;
            return Ok(NOT_EXECUTED);
        }
    };
    door.answer(&Answer::Ready(Box::new(hardening.clone())))?;
    let (files, go) = door.wait();
    if !go {
        results::leave(files.record, &Left::NeverBegan)?;
        return Ok(NOT_EXECUTED);
    }
    life::live(files, &job.spec, programs, hardening, &signals)
}

/// What is run.
struct Programs {
    /// None: it holds what others join, until it is told to end.
    main: Option<Program>,
    prober: Option<Prober>,
}

/// The programs and the proof that they will be contained.
fn prepare(job: &Job) -> Result<(Programs, runtime::Hardening), StartError> {
    let mut spec = job.spec.clone();
    if spec.workdir.is_none() {
        // Where the daemon started us: the image's own working directory.
        spec.workdir = std::env::current_dir()
            .ok()
            .and_then(|dir| dir.to_str().map(str::to_owned));
    }
    if spec.argv.is_empty() {
        spec.argv.clone_from(&job.command);
    }
    if spec.argv.is_empty() && !spec.pod.holds {
        return Err(StartError::new(StartErrorKind::Spec, NO_COMMAND));
    }
    let base = brought(&spec.image);
    let main = (!spec.pod.holds)
        .then(|| Program::new(&spec, &base, &job.secrets))
        .transpose()?;
    let prober = Prober::new(&spec, &base, &job.secrets)?;
    account::surroundings(&spec)?;
    secrets::lay(&spec, &job.secrets)?;
    let mut hardening = Program::contain(main.as_ref())?;
    account::complete(&spec, &mut hardening)?;
    Ok((Programs { main, prober }, hardening))
}

/// What the daemon puts into an environment by itself.
const DAEMONS: [&str; 4] = ["HOSTNAME", "HOME", "TERM", "container"];

/// The environment that the image brings.
fn brought(image: &Image) -> Vec<(String, String)> {
    match image {
        Image::Host => Vec::new(),
        Image::Oci(_) => std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !DAEMONS.contains(&name.as_str()) && !PRELOADED.contains(&name.as_str()))
            .collect(),
    }
}

fn block_signals() -> io::Result<SignalFd> {
    let mut all = SigSet::all();
    for signal in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGFPE,
        Signal::SIGABRT,
    ] {
        all.remove(signal);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None)?;
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGTERM);
    wanted.add(Signal::SIGCHLD);
    Ok(SignalFd::with_flags(
        &wanted,
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?)
}

/// A part of what was asked for is not in force.
fn not_in_force(what: impl Into<String>) -> StartError {
    StartError::new(StartErrorKind::Hardening, what)
}
