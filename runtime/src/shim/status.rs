//! What our pid 1 tells the shim: lines of JSON in a pipe that no process of the step can reach.

use std::fs::File;
use std::io::Read;
use std::os::fd::{OwnedFd, RawFd};

use serde::{Deserialize, Serialize};

use crate::{Hardening, StartError, sys};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// What is in force; said before the program is executed.
    Hardening(Hardening),
    /// The program was not executed.
    Failed(StartError),
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

/// Reads all that was said. The container is gone, so the end comes at once.
pub(super) fn read(pipe: OwnedFd) -> Vec<Said> {
    let mut text = String::new();
    if let Err(error) = File::from(pipe).read_to_string(&mut text) {
        eprintln!("firehall shim: the status pipe: {error}");
    }
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(said) => Some(said),
        Err(error) => {
            eprintln!("firehall shim: pid 1 said {line:?}: {error}");
            None
        }
    };
    text.lines().filter_map(parse).collect()
}
