//! The process from which shims are forked. To execute the program anew for each of them costs more than anything else that
//! a shim does by itself: its libraries are looked up, and thousands of its pointers relocated.
//!
//! Single-threaded as the shims are. It ends with the agent, or when it had nothing to do for a while.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::forks::{ASKED_BYTES, FORKED, REFUSED, ROOM, SERVE};
use crate::sys::{self, CommandLine};

/// How long it stays without anything to do, milliseconds.
const IDLE_MS: u16 = 30_000;

/// One shim to be.
struct Asked {
    dir: PathBuf,
    /// Its standard input, output and error.
    stdio: [OwnedFd; 3],
}

/// Forks shims for the agent at the other end of standard input. The binary calls this as `… shim --serve ROOM`, before it makes a
/// thread or a runtime.
#[must_use]
pub fn serve() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("firehall shim: no shims are forked any more: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let shown = CommandLine::own()?;
    let words: Vec<OsString> = std::env::args_os()
        .filter(|arg| arg != OsStr::new(ROOM))
        .collect();
    shown.show(&line(&words));
    // What a terminal says to the agent is not for it.
    setsid()?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    prctl::set_dumpable(false)?;
    know_processor();
    let mut all = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        all.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None)?;
    let mut ended = SigSet::empty();
    ended.add(Signal::SIGCHLD);
    let signals = SignalFd::with_flags(&ended, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut children = false;
    loop {
        let mut watched = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        // One that leaves children behind leaves zombies where nobody else reaps.
        let patience = if children {
            PollTimeout::NONE
        } else {
            PollTimeout::from(IDLE_MS)
        };
        match poll(&mut watched, patience) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let asked = watched[0].revents().is_some_and(|events| !events.is_empty());
        while signals.read_signal()?.is_some() {}
        children = reap();
        if !asked {
            continue;
        }
        let Some(asked) = receive(&socket)? else {
            return Ok(());
        };
        let forked = match sys::fork_single_threaded() {
            Ok(None) => become_shim(asked, &shown, words),
            Ok(Some(pid)) => Ok(pid),
            Err(error) => Err(error.to_string()),
        };
        // The attempt's lock is the shim's alone from here on.
        drop(asked);
        answer(&socket, forked)?;
        children = true;
    }
}

/// What the processor can do is asked for once, not in each process that is forked: every CPUID leaves a virtual machine, and the
/// standard library needs a dozen.
fn know_processor() {
    #[cfg(target_arch = "x86_64")]
    let _known = std::arch::is_x86_feature_detected!("sse4.2");
}

/// Whether there still are any.
fn reap() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Err(Errno::ECHILD) => return false,
            Ok(_) | Err(_) => {}
        }
    }
}

/// None when the agent is gone.
fn receive(socket: &OwnedFd) -> io::Result<Option<Asked>> {
    let mut bytes = vec![0; ASKED_BYTES];
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!([RawFd; 3]);
    let got = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut stdio = Vec::new();
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            stdio.extend(numbers.into_iter().map(sys::received));
        }
    }
    let length = got.bytes;
    if length == 0 {
        return Ok(None);
    }
    bytes.truncate(length);
    let stdio =
        <[OwnedFd; 3]>::try_from(stdio).map_err(|_| io::Error::other("asked without three descriptors"))?;
    Ok(Some(Asked {
        dir: OsString::from_vec(bytes).into(),
        stdio,
    }))
}

/// The new process by its number and a descriptor, or why there is none. The number is its own until it is reaped.
fn answer(socket: &OwnedFd, forked: Result<Pid, String>) -> io::Result<()> {
    let pidfd = match &forked {
        // Where there is no descriptor, the agent ends it by its number.
        Ok(pid) => sys::pidfd_open(pid.as_raw()).ok(),
        Err(_) => None,
    };
    let text = match &forked {
        Ok(pid) => format!("{FORKED}{pid}"),
        Err(why) => format!("{REFUSED}{why}"),
    };
    let number = pidfd.as_ref().map(|pidfd| [pidfd.as_raw_fd()]);
    let rights: Vec<ControlMessage<'_>> = number.iter().map(|one| ControlMessage::ScmRights(one)).collect();
    let parts = [IoSlice::new(text.as_bytes())];
    match sendmsg::<()>(socket.as_raw_fd(), &parts, &rights, MsgFlags::MSG_NOSIGNAL, None) {
        // The agent is gone; the next message says so.
        Ok(_) | Err(Errno::EPIPE) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// In the new process, which is as if it had been executed as `… shim DIR`.
fn become_shim(asked: Asked, shown: &CommandLine, mut words: Vec<OsString>) -> ! {
    let Asked { dir, stdio } = asked;
    let [input, output, error] = &stdio;
    let placed = dup2_stdin(input)
        .and_then(|()| dup2_stdout(output))
        .and_then(|()| dup2_stderr(error));
    if let Err(error) = placed {
        eprintln!("firehall shim: cannot take its descriptors: {error}");
        sys::exit_now(1);
    }
    words.retain(|word| word != OsStr::new(SERVE));
    words.push(dir.clone().into_os_string());
    shown.show(&line(&words));
    sys::exit_now(i32::from(!super::recorded(&dir)))
}

/// As the kernel keeps them: each with its NUL.
fn line(words: &[OsString]) -> Vec<u8> {
    words
        .iter()
        .flat_map(|word| [word.as_bytes(), b"\0"].concat())
        .collect()
}
