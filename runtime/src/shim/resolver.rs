//! The name server inside a step's own network: it hands questions to the host's, wherever that is.
//!
//! Most hosts name a server on their own loopback (systemd-resolved) or at a link-local address (clouds), which a step
//! must not reach. Here it reaches exactly the one port. Nothing is read of what passes.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock;

/// Questions by UDP that wait for an answer; a further one is dropped, and asked again by whoever asked.
const WAITING: usize = 64;
/// Connections at once.
const CONNECTIONS: usize = 16;
/// How long an answer may take before the next server is asked.
const ANSWER: Duration = Duration::from_secs(3);
/// The longest message by UDP (EDNS0 in practice).
const MESSAGE: usize = 4096;
const DNS: u16 = 53;

/// Name servers of a `resolv.conf`, and the same file for inside.
pub(super) fn inside(resolv_conf: &str) -> (Vec<SocketAddr>, String) {
    let servers = resolv_conf
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok())
        .map(|ip| SocketAddr::new(ip, DNS));
    let others = resolv_conf.lines().filter(|line| {
        ["search", "domain", "options"]
            .iter()
            .any(|word| line.starts_with(word))
    });
    let mut text = "nameserver 127.0.0.1\n".to_owned();
    for line in others {
        text.push_str(line);
        text.push('\n');
    }
    (servers.take(3).collect(), text)
}

/// Sockets in the step's network, servers in the host's.
pub(super) struct Resolver {
    udp: UdpSocket,
    tcp: TcpListener,
    upstream: Arc<Upstream>,
}

struct Upstream {
    servers: Vec<SocketAddr>,
    /// Which of them answers.
    current: AtomicUsize,
    connections: AtomicUsize,
}

impl Upstream {
    /// Which one is asked now.
    fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    fn server(&self, current: usize) -> SocketAddr {
        self.servers[current % self.servers.len()]
    }

    /// Leaves one that did not answer. Of many questions that it leaves unanswered only the first one counts.
    fn leave(&self, current: usize) {
        let next = current.wrapping_add(1);
        let _left_already =
            self.current
                .compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A question on its way.
struct Question {
    socket: UdpSocket,
    from: SocketAddr,
    /// Who was asked, of [`Upstream::current`].
    asked: usize,
    until: Duration,
}

impl Resolver {
    /// `servers` must not be empty.
    pub(super) fn new(udp: UdpSocket, tcp: TcpListener, servers: Vec<SocketAddr>) -> io::Result<Self> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok(Self {
            udp,
            tcp,
            upstream: Arc::new(Upstream {
                servers,
                current: AtomicUsize::new(0),
                connections: AtomicUsize::new(0),
            }),
        })
    }

    /// Answers from a thread until this process ends. After the last fork only: libcontainer forks without exec.
    pub(super) fn serve(self) -> io::Result<()> {
        thread::Builder::new()
            .name("names".to_owned())
            .spawn(move || self.run())?;
        Ok(())
    }

    fn run(&self) {
        let mut waiting: Vec<Question> = Vec::new();
        loop {
            if let Err(error) = self.wait(&waiting) {
                eprintln!("firehall shim: the name server's poll: {error}");
                return;
            }
            let mut buffer = [0; MESSAGE];
            while let Ok((length, from)) = self.udp.recv_from(&mut buffer) {
                if waiting.len() < WAITING
                    && let Ok(question) = self.ask(&buffer[..length], from)
                {
                    waiting.push(question);
                }
            }
            let now = clock::boot();
            waiting.retain(|question| {
                if let Ok(length) = question.socket.recv(&mut buffer) {
                    // One that asks no more is no loss.
                    let _gone = self.udp.send_to(&buffer[..length], question.from);
                    return false;
                }
                if now >= question.until {
                    self.upstream.leave(question.asked);
                    return false;
                }
                true
            });
            while let Ok((client, _)) = self.tcp.accept() {
                self.connect(client);
            }
        }
    }

    fn wait(&self, waiting: &[Question]) -> io::Result<()> {
        let mut fds = vec![
            PollFd::new(self.udp.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.tcp.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(
            waiting
                .iter()
                .map(|question| PollFd::new(question.socket.as_fd(), PollFlags::POLLIN)),
        );
        let timeout = if waiting.is_empty() {
            PollTimeout::NONE
        } else {
            PollTimeout::from(500_u16)
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn ask(&self, message: &[u8], from: SocketAddr) -> io::Result<Question> {
        let asked = self.upstream.current();
        let server = self.upstream.server(asked);
        let any: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        socket.send(message)?;
        Ok(Question {
            socket,
            from,
            asked,
            until: clock::boot() + ANSWER,
        })
    }

    /// A connection has a thread of its own for its life, which is short.
    fn connect(&self, client: TcpStream) {
        let upstream = Arc::clone(&self.upstream);
        if upstream.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            upstream.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let counted = Arc::clone(&upstream);
        let spawned = thread::Builder::new().spawn(move || {
            // Its end, however it came, is the client's to see.
            let _over = relay(client, &upstream);
            upstream.connections.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            counted.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Question, answer, question, answer; each with its length in front (RFC 1035, 4.2.2).
fn relay(mut client: TcpStream, upstream: &Upstream) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let mut server = TcpStream::connect_timeout(&upstream.server(upstream.current()), ANSWER)?;
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
    }
    loop {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    let mut length = [0; 2];
    from.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    from.read_exact(&mut message)?;
    to.write_all(&[&length[..], &message].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn inside_there_is_one_server_and_the_hosts_search_list() {
        let host = "# by hand\nsearch example.com\nnameserver 127.0.0.53\nnameserver fd00::1\nnameserver x\noptions edns0\n";
        let (servers, text) = inside(host);
        let expected: [SocketAddr; 2] = ["127.0.0.53:53".parse().unwrap(), "[fd00::1]:53".parse().unwrap()];
        assert_eq!(servers, expected);
        assert_eq!(text, "nameserver 127.0.0.1\nsearch example.com\noptions edns0\n");
        assert_eq!(inside("").0, []);
    }

    /// A port that is free for UDP may be another test's for TCP.
    fn on_one_port() -> (UdpSocket, TcpListener) {
        let both = (0..100).find_map(|_| {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let tcp = TcpListener::bind(udp.local_addr().unwrap()).ok()?;
            Some((udp, tcp))
        });
        both.unwrap()
    }

    #[test]
    fn questions_and_answers_pass_by_udp_and_tcp_and_a_silent_server_is_left() {
        let here = (Ipv4Addr::LOCALHOST, 0);
        // The first one takes questions and says nothing.
        let silent = UdpSocket::bind(here).unwrap();
        let (server, by_tcp) = on_one_port();
        let (door, tcp_door) = (UdpSocket::bind(here).unwrap(), TcpListener::bind(here).unwrap());
        let (udp_at, tcp_at) = (door.local_addr().unwrap(), tcp_door.local_addr().unwrap());
        let servers = vec![silent.local_addr().unwrap(), server.local_addr().unwrap()];
        Resolver::new(door, tcp_door, servers).unwrap().serve().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; MESSAGE];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                server
                    .send_to(&[b"answer to ", &buffer[..length]].concat(), from)
                    .unwrap();
            }
        });
        thread::spawn(move || {
            for mut client in by_tcp.incoming().map_while(Result::ok) {
                let mut question = [0; 6];
                while client.read_exact(&mut question).is_ok() {
                    client.write_all(&question).unwrap();
                }
            }
        });
        let client = UdpSocket::bind(here).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut buffer = [0; MESSAGE];
        // As a resolver does: again until somebody answers.
        let answer = (0..60).find_map(|_| {
            client.send_to(b"name?", udp_at).unwrap();
            client.recv(&mut buffer).ok()
        });
        assert_eq!(&buffer[..answer.unwrap()], b"answer to name?");
        let mut client = TcpStream::connect(tcp_at).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        for text in [b"\0\x04ques", b"\0\x04more"] {
            client.write_all(text).unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, text);
        }
    }
}
