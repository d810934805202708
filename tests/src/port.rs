//! Ports of loopback that a process of a test has again after each restart.

use std::{
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

/// Where they are: the kernel gives none of these to whoever asks for any port, which is how a port that is free while its
/// process is away becomes another's (`net.ipv4.ip_local_port_range`, 32768 to 60999 unless somebody changed it).
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;

/// One that no other test has until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// A name that only one may have at a time, and that goes with its process.
    _name: UnixListener,
}

impl Port {
    /// Takes one.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn take() -> Self {
        let begin = std::process::id().wrapping_mul(7) % u32::from(COUNT);
        let begin = u16::try_from(begin).expect("less than their count");
        let mut numbers = (0..COUNT).map(|n| FIRST + (begin + n) % COUNT);
        numbers.find_map(Self::of).expect("a free port")
    }

    fn of(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("firehall-test-port-{number}")).ok()?;
        let name = UnixListener::bind_addr(&name).ok()?;
        // Somebody else's, who knows nothing of these names.
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self { number, _name: name })
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}
