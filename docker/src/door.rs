//! The door, from outside: a socket that is answered once.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg};
use runtime::kit::pidfd_open;

use crate::attempt::{Files, Handed};
use crate::wire::{self, Answer, GO, Job, SOCKET};

/// How long our pid 1 may take between its words.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open door.
pub(crate) struct Door {
    listener: tokio::net::UnixListener,
    files: Files,
}

/// Our pid 1, contained and waiting.
pub(crate) struct Caller {
    stream: UnixStream,
    /// The process itself, where it is seen from here.
    pub process: Option<OwnedFd>,
}

impl Door {
    /// Opens it. Any user may knock: who is inside is not known outside. Whatever lay there from before is gone.
    pub(crate) fn open(files: &Files) -> io::Result<Self> {
        files.make_door()?;
        let dir = File::open(files.door())?;
        // By a descriptor: the path itself may be longer than a socket's name can be.
        let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: tokio::net::UnixListener::from_std(listener)?,
            files: files.clone(),
        })
    }

    /// Answers the first who knocks, which is our pid 1: nothing else runs yet. The door is shut then.
    pub(crate) async fn answer(self, job: Job, handed: Handed) -> io::Result<(Answer, Caller)> {
        let (stream, _) = self.listener.accept().await?;
        let stream = stream.into_std()?;
        self.shut();
        let handing = move || {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            // Before its answer, for which it lives: the number is its own until then.
            let process = process(&stream);
            give(&stream, &handed)?;
            wire::send(&stream, &job)?;
            let answer = wire::receive(&stream)?;
            Ok((answer, Caller { stream, process }))
        };
        tokio::task::spawn_blocking(handing)
            .await
            .map_err(io::Error::other)?
    }

    fn shut(&self) {
        // A socket that stays is a socket that nobody listens at.
        let _gone = std::fs::remove_file(self.files.door().join(SOCKET));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Caller {
    /// The word to go.
    pub(crate) fn go(mut self) -> io::Result<()> {
        io::Write::write_all(&mut self.stream, &[GO])
    }
}

/// None where the number says nothing here: another machine's or another pid namespace's process.
fn process(stream: &UnixStream) -> Option<OwnedFd> {
    let peer = getsockopt(stream, PeerCredentials).ok()?;
    (peer.pid() > 0).then(|| pidfd_open(peer.pid()).ok()).flatten()
}

fn give(stream: &UnixStream, handed: &Handed) -> io::Result<()> {
    let fds: Vec<RawFd> = handed.iter().map(AsRawFd::as_raw_fd).collect();
    let byte = [0];
    sendmsg::<()>(
        stream.as_raw_fd(),
        &[IoSlice::new(&byte)],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}
