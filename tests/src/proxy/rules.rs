//! What the network does to connections.

use std::time::Duration;

/// The rules of now. They hold for open connections, too, but for `admit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// From the client to the server.
    pub up: Way,
    /// From the server to the client.
    pub down: Way,
    /// An end that closes or vanishes is not told to the other.
    pub silent: bool,
    /// What becomes of a new connection.
    pub admit: Admit,
}

impl Rules {
    /// Nothing arrives and nothing is told, either way.
    pub const fn part(&mut self) {
        self.up.stalls = true;
        self.down.stalls = true;
        self.silent = true;
    }
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Nothing arrives. It is kept (up to a mebibyte) and arrives when this is over, as with TCP over a network that
    /// loses all packets for a while.
    pub stalls: bool,
    /// How long each byte is under way.
    pub delay: Duration,
    /// The most that passes.
    pub bytes_per_s: Option<u64>,
    /// What was said in one piece of more than so many bytes never arrives, nor does what comes behind it, as where packets
    /// of that size are dropped without a word (an MTU black hole). It is kept and arrives when this is over.
    pub swallows_over: Option<usize>,
    /// After so many bytes of a connection it is reset at both ends.
    pub cut_after: Option<u64>,
}

/// What becomes of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admit {
    /// It reaches the server.
    #[default]
    Pass,
    /// It is reset.
    Refuse,
    /// It is answered with this, whatever it says, and closed.
    Answer(&'static [u8]),
    /// It reaches the server, and so does a second one that says the same byte for byte and hears nothing.
    Twice,
}

/// What a proxy says whose server is not there.
pub const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 52\r\nConnection: close\r\n\r\n<html><body><h1>502 Bad Gateway</h1></body></html>\r\n";
/// What no protocol says.
pub const GARBAGE: &[u8] = b"\x00\xff\xfe\x16\x03\x01PRI \x00\x00\x00\x00garbage\r\n\r\n\x80\x80\x80";
