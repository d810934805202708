//! The few kernel calls that no safe crate of ours wraps, each with the reason why it is sound here.
#![expect(unsafe_code, reason = "raw system calls; every block says why it is sound")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::unistd::{ForkResult, Pid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor for a process; it stays that process's even when the number is used again.
///
/// # Errors
/// There is no such process, or no room for the descriptor.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers in; a new descriptor that nobody else owns comes out.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process behind a pidfd. A process that is gone is not an error.
pub(crate) fn pidfd_signal(pidfd: impl AsFd, signal: nix::sys::signal::Signal) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; no siginfo is passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            fd,
            signal as libc::c_int,
            std::ptr::null::<u8>(),
            0,
        )
    };
    if done == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        gone if gone.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

/// Closes every descriptor from `first` on, except one.
///
/// Only for a process that uses none of them afterwards: the shim before it opened anything, our pid 1 and its child.
pub(crate) fn close_from(first: RawFd, keep: Option<RawFd>) -> io::Result<()> {
    let close = |from: RawFd, to: libc::c_uint| -> io::Result<()> {
        let Ok(from) = libc::c_uint::try_from(from) else {
            return Ok(());
        };
        if from > to {
            return Ok(());
        }
        // SAFETY: the caller's contract: nothing behind these numbers is used again.
        match unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match keep {
        None => close(first, libc::c_uint::MAX),
        Some(keep) => {
            if let Ok(before) = libc::c_uint::try_from(keep - 1) {
                close(first, before)?;
            }
            close(keep + 1, libc::c_uint::MAX)
        }
    }
}

/// Forks a process that has a single thread; the caller's to know: its program must not have made a second one.
///
/// # Errors
/// The kernel refuses.
pub fn fork_single_threaded() -> nix::Result<Option<Pid>> {
    // SAFETY: the shim and what libcontainer clones from it have one thread, so no lock can be held by another.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// A descriptor that came with a message.
pub(crate) fn received(number: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made it for this process, and nobody else knows its number.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Where others read this process's command line: its arguments, each with its NUL, as they were when it was executed.
pub(crate) struct CommandLine {
    start: usize,
    bytes: usize,
}

impl CommandLine {
    /// This process's own.
    ///
    /// # Errors
    /// `/proc` does not say where it is (fields 48 and 49 of `/proc/PID/stat`).
    pub(crate) fn own() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
        // The first of them is field 3.
        let mut places = fields.into_iter().flatten().skip(45).map(str::parse::<usize>);
        match (places.next(), places.next()) {
            (Some(Ok(start)), Some(Ok(end))) if start != 0 && end > start => Ok(Self {
                start,
                bytes: end - start,
            }),
            _ => Err(io::Error::other(
                "/proc/self/stat does not say where the arguments are",
            )),
        }
    }

    /// Shows others this line from now on, as much of it as there is room. This process does not read its arguments
    /// afterwards.
    pub(crate) fn show(&self, line: &[u8]) {
        let line = &line[..line.len().min(self.bytes - 1)];
        let start = std::ptr::with_exposed_provenance_mut::<u8>(self.start);
        // SAFETY: the kernel laid the arguments there, writable and for as long as the process lives; it has one thread, and
        // nothing that borrowed one of them is used after this.
        unsafe {
            std::ptr::copy_nonoverlapping(line.as_ptr(), start, line.len());
            std::ptr::write_bytes(start.add(line.len()), 0, self.bytes - line.len());
        }
    }
}

/// Ends this process at once: no destructor, no exit handler of the program it was forked from.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(code) }
}

/// Writes to a descriptor by its number, for a process that was forked and owns no Rust handle of it.
pub(crate) fn write_raw(fd: RawFd, bytes: &[u8]) {
    // SAFETY: the slice is valid for its length. A failure has nobody to be told to: the shim then sees no message and
    // says so.
    let _written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
}

/// Closes a descriptor by its number, for a process that was forked and owns no Rust handle of it.
pub(crate) fn close_raw(fd: RawFd) {
    // SAFETY: only the executor's copies of the shim's pipes are closed so; the forked process holds no handle of them.
    let _closed = unsafe { libc::close(fd) };
}

/// Whether the other end of a pipe is gone.
pub(crate) fn pipe_is_dead(fd: RawFd) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd, no wait.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 1 && poll.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
}

/// Gives a signal its default action again.
pub(crate) fn reset_signal(signal: nix::sys::signal::Signal) -> nix::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(signal, &default) }.map(drop)
}

/// Waits until the process behind a pidfd has ended: the descriptor is readable then (`pidfd_open(2)`). The first process of a pid
/// namespace ends after all the others in it (`pid_namespaces(7)`).
///
/// # Errors
/// The descriptor cannot be watched.
pub async fn process_ended(pidfd: &OwnedFd) -> io::Result<()> {
    // SAFETY: an `OwnedFd` keeps the same open descriptor for as long as it lives.
    let watched = unsafe { AsyncFd::register_with_interest(pidfd.try_clone()?, Interest::READABLE) }?;
    watched.readable().await?.retain_ready();
    Ok(())
}

/// Brings up the loopback of the network namespace that the caller is in.
pub(crate) fn loopback_up() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let any = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: plain data, for which all zeros is a value: no name, no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    let done = |result: libc::c_int| match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: the descriptor is open, and the request is a valid one of its type for the call.
    done(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) })?;
    // SAFETY: the kernel has just written this field of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    // SAFETY: as above.
    done(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}
