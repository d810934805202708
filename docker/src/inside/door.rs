//! The agent's door, from inside.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::wire::{self, Answer, DOOR, FILES, GO, Job, SOCKET};

/// How long the agent may take to hand the job over or to say go: it writes a few files meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

/// The open files.
#[derive(Debug)]
pub(super) struct Files {
    pub record: File,
    /// Locked by the agent for us; held until we end.
    pub _alive: File,
    pub halt: File,
    pub out: File,
    pub err: File,
    pub output: File,
    pub degraded: File,
    /// Gets a line once it is ready.
    pub ready: File,
    pub artifacts: File,
}

/// The agent at the other end.
pub(super) struct Door {
    stream: UnixStream,
    files: Files,
}

impl Door {
    /// Takes the job. Nobody answers when the agent is gone: then nothing is to be run.
    pub(super) fn knock() -> io::Result<(Self, Job)> {
        let told = |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
        let path = format!("{DOOR}/{SOCKET}");
        let stream = UnixStream::connect(&path).map_err(|error| told(&path, error))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let files = files(&stream).map_err(|error| told("the open files", error))?;
        let job = wire::receive(&stream).map_err(|error| told("the job", error))?;
        Ok((Self { stream, files }, job))
    }

    /// Says what became of the containment.
    pub(super) fn answer(&self, answer: &Answer) -> io::Result<()> {
        wire::send(&self.stream, answer)
    }

    /// Waits for the word to go; false when the agent is gone instead.
    pub(super) fn wait(self) -> (Files, bool) {
        let mut word = [0];
        let read = (&self.stream).read_exact(&mut word);
        (self.files, read.is_ok() && word[0] == GO)
    }
}

#[expect(unsafe_code, reason = "descriptors received by a message have no owner yet")]
fn files(stream: &UnixStream) -> io::Result<Files> {
    let mut byte = [0; 1];
    let mut space = nix::cmsg_space!([RawFd; FILES.len()]);
    let mut owned = Vec::new();
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut buffers,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            // SAFETY: the kernel made these descriptors for this process just now, and nobody else has them.
            owned.extend(
                fds.into_iter()
                    .map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) })),
            );
        }
    }
    let [record, alive, halt, out, err, output, degraded, ready, artifacts] =
        <[File; FILES.len()]>::try_from(owned)
            .map_err(|got| io::Error::other(format!("{} came, {} were to come", got.len(), FILES.len())))?;
    Ok(Files {
        record,
        _alive: alive,
        halt,
        out,
        err,
        output,
        degraded,
        ready,
        artifacts,
    })
}
