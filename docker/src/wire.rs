//! What agent and pid 1 tell each other at the door.

use std::io::{self, Read, Write};

use runtime::{ContainerSpec, ExitRecord, Hardening, StartError};
use serde::{Deserialize, Serialize};

/// The path of the door's directory inside.
pub(crate) const DOOR: &str = "/.firehall/door";
/// The socket's name in it.
pub(crate) const SOCKET: &str = "s";
/// The longest message: the job holds environment and secrets.
const MESSAGE_BYTES: u32 = 16 * 1024 * 1024;

/// The open files that come with the job, in this order.
pub(crate) const FILES: [&str; 9] = [
    "inside.json",
    "alive",
    "halt",
    "out",
    "err",
    "output",
    "degraded",
    "ready",
    "artifacts",
];

/// The work, handed over once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    pub spec: ContainerSpec,
    /// What the image runs by itself.
    pub command: Vec<String>,
    /// Name and value.
    pub secrets: Vec<(String, String)>,
}

/// The answer before the program is executed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Contained, and waiting for the word to go.
    Ready(Box<Hardening>),
    /// Not contained, or the spec cannot be run: it ends.
    Refused(StartError),
}

/// The word to go.
pub(crate) const GO: u8 = b'g';

/// What pid 1 leaves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    /// The word to go never came: nothing was executed.
    NeverBegan,
    /// The end.
    Ended(Box<ExitRecord>),
}

/// Writes a message with its length in front.
pub(crate) fn send<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    let sent = to.write_all(&bytes);
    bytes.fill(0);
    sent
}

/// Reads a message.
pub(crate) fn receive<T: for<'de> Deserialize<'de>>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MESSAGE_BYTES {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    from.read_exact(&mut bytes)?;
    let message = serde_json::from_slice(&bytes).map_err(io::Error::other);
    bytes.fill(0);
    message
}
