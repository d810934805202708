//! What our pid 1 tells the shim: lines of JSON in a pipe that no process of the step can reach.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::{Deserialize, Serialize};

use crate::ready::Readiness;
use crate::{Hardening, StartError, sys};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// What is in force; said before the program is executed.
    Hardening(Hardening),
    /// The program was not executed.
    Failed(StartError),
    /// Whether it is ready, where somebody asked.
    Readiness(Readiness),
    /// The main process exited.
    Exited(i32),
    /// A signal ended the main process.
    Signaled(i32),
}

/// Says it; every line is shorter than `PIPE_BUF`, so lines of two processes do not mix.
pub(super) fn say(pipe: RawFd, word: &Said) {
    if let Ok(mut line) = serde_json::to_vec(word) {
        line.push(b'\n');
        sys::write_raw(pipe, &line);
    }
}

/// The pipe's other end.
pub(super) struct Status {
    pipe: Option<File>,
    text: Vec<u8>,
    said: Vec<Said>,
}

impl Status {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self {
            pipe: Some(File::from(pipe)),
            text: Vec::new(),
            said: Vec::new(),
        })
    }

    /// To poll; none after its end.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(|pipe| pipe.as_fd())
    }

    /// Takes what is there; the answer is what of it has to be dealt with at once.
    pub(super) fn turn(&mut self) -> Option<Readiness> {
        let mut buffer = [0; 4096];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.text.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    eprintln!("firehall shim: the status pipe: {error}");
                    self.pipe = None;
                }
            }
        }
        let mut readiness = None;
        while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.text.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Said::Readiness(news)) => readiness = Some(news),
                Ok(said) => self.said.push(said),
                Err(error) => eprintln!(
                    "firehall shim: pid 1 said {:?}: {error}",
                    String::from_utf8_lossy(&line)
                ),
            }
        }
        readiness
    }

    /// All that was said. The container is gone, so nothing follows what is there.
    pub(super) fn finish(mut self) -> Vec<Said> {
        self.turn();
        self.said
    }
}
