//! The agent's end of the process that forks its shims; see [`crate::shim::serve`].

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    setsockopt, socketpair, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;

use crate::{ShimCommand, sys};

/// What is said to the program instead of a directory.
pub(crate) const SERVE: &str = "--serve";
/// Room on its command line, where each shim shows whose it is.
pub(crate) const ROOM: &str = match std::str::from_utf8(&[b'.'; 512]) {
    Ok(room) => room,
    Err(_) => "",
};
/// The longest path (`PATH_MAX`), and more than an answer has.
pub(crate) const ASKED_BYTES: usize = 4_096;
/// An answer: the shim's number follows, or why there is none.
pub(crate) const FORKED: char = '=';
pub(crate) const REFUSED: char = '!';
/// How long it may take to fork, seconds: on a host that pages, much longer than the millisecond that it takes.
const PATIENCE_SECONDS: i64 = 10;

/// Started with the first shim, and again when it is gone.
#[derive(Debug)]
pub(crate) struct Forks {
    command: ShimCommand,
    server: Mutex<Option<Server>>,
}

#[derive(Debug)]
struct Server {
    child: Child,
    socket: OwnedFd,
    /// The agent's as it was started: whoever changes those of an agent means its shims, too.
    limits: Vec<(u64, u64)>,
}

/// What this process may take, of what may be changed from outside while it runs (prlimit(2)).
fn limits() -> Vec<(u64, u64)> {
    let of = [
        Resource::RLIMIT_NOFILE,
        Resource::RLIMIT_NPROC,
        Resource::RLIMIT_AS,
        Resource::RLIMIT_DATA,
        Resource::RLIMIT_STACK,
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_MEMLOCK,
    ];
    // All of them are there on every kernel.
    of.into_iter().filter_map(|one| getrlimit(one).ok()).collect()
}

impl Forks {
    pub(crate) const fn new(command: ShimCommand) -> Self {
        Self {
            command,
            server: Mutex::new(None),
        }
    }

    /// Forks a shim for an attempt's directory, with its standard input, output and error, and answers it by a descriptor.
    ///
    /// # Errors
    /// It is not known whether it was forked: if it was, it holds the attempt's lock. Nothing is forked any more.
    pub(crate) fn fork(&self, dir: &Path, stdio: [&File; 3]) -> io::Result<OwnedFd> {
        let mut kept = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let mut server = match kept.take() {
            Some(server) if server.is_there() => server,
            _ => Server::start(&self.command)?,
        };
        let forked = server.ask(dir, stdio)?;
        *kept = Some(server);
        Ok(forked)
    }
}

impl Server {
    fn start(command: &ShimCommand) -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let patience = TimeVal::seconds(PATIENCE_SECONDS);
        setsockopt(&ours, sockopt::ReceiveTimeout, &patience)?;
        setsockopt(&ours, sockopt::SendTimeout, &patience)?;
        let mut server = Command::new(&command.program);
        server.args(&command.args).args([SERVE, ROOM]).env_clear();
        failpoint::pass_on(&mut server);
        let child = server
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            socket: ours,
            limits: limits(),
        })
    }

    /// One that had nothing to do has ended.
    fn is_there(&self) -> bool {
        !sys::pipe_is_dead(self.socket.as_raw_fd()) && self.limits == limits()
    }

    fn ask(&mut self, dir: &Path, stdio: [&File; 3]) -> io::Result<OwnedFd> {
        let path = dir.as_os_str().as_bytes();
        if path.is_empty() || path.len() > ASKED_BYTES {
            return Err(io::Error::other("the attempt's path is too long"));
        }
        let numbers = stdio.map(AsRawFd::as_raw_fd);
        let parts = [IoSlice::new(path)];
        sendmsg::<()>(
            self.socket.as_raw_fd(),
            &parts,
            &[ControlMessage::ScmRights(&numbers)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        let mut bytes = [0; ASKED_BYTES];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let got = recvmsg::<()>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )?;
        let mut pidfd = None;
        for message in got.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = message {
                pidfd = numbers.into_iter().next().map(sys::received);
            }
        }
        let length = got.bytes;
        let text = String::from_utf8_lossy(&bytes[..length]);
        if let Some(why) = text.strip_prefix(REFUSED) {
            return Err(io::Error::other(why.to_owned()));
        }
        let Some(pid) = text.strip_prefix(FORKED) else {
            return Err(io::Error::other("the process that forks shims is gone"));
        };
        pidfd.ok_or_else(|| {
            // Nobody could watch it. It has just begun and has made nothing yet.
            if let Ok(pid) = pid.parse() {
                let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            io::Error::other("no descriptor is left for the shim")
        })
    }
}

impl Drop for Server {
    /// With it goes what it was asked and did not do.
    fn drop(&mut self) {
        // Both fail only where it is gone.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
