//! `network: egress` against a world of the test's own: a network namespace behind this host with a service, and with the
//! address of a cloud's metadata service.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use runtime::Network;

use crate::support::{Place, sh, until_says, wait};

/// Of the range for benchmarks (RFC 2544): those for documentation are some machines' way to the internet.
const WORLD: &str = "198.19.255.2";
const HERE: &str = "198.19.255.1";
const METADATA: &str = "169.254.169.254";

/// The namespace and the pair of interfaces; both go with it.
struct World {
    name: String,
    /// Of a service in it; 0 until it listens.
    port: u16,
    _alone: File,
}

/// The host has one route to that address: tests that make it (the other runtime's too) take turns.
fn alone() -> File {
    let turn = File::create(std::env::temp_dir().join("firehall-test-metadata.lock")).unwrap();
    turn.lock().unwrap();
    turn
}

fn ip(line: &str) {
    let done = Command::new("ip")
        .args(line.split(' '))
        .output()
        .expect("ip must be installed");
    assert!(
        done.status.success(),
        "ip {line}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

impl World {
    fn new() -> Self {
        let alone = alone();
        let name = format!("world{}", std::process::id());
        ip(&format!("netns add {name}"));
        // From here on it is undone, whatever fails.
        let mut made = Self {
            name: name.clone(),
            port: 0,
            _alone: alone,
        };
        ip(&format!("link add {name} type veth peer name eth0 netns {name}"));
        ip(&format!("address add {HERE}/30 dev {name}"));
        ip(&format!("link set {name} up"));
        for line in [
            "link set lo up",
            &format!("address add {WORLD}/30 dev eth0"),
            &format!("address add {METADATA}/32 dev lo"),
            "link set eth0 up",
        ] {
            ip(&format!("-n {name} {line}"));
        }
        ip(&format!("route add {METADATA}/32 via {WORLD}"));
        let (told, port) = std::sync::mpsc::sync_channel(1);
        let space = File::open(format!("/run/netns/{name}")).unwrap();
        // A thread of its own: a namespace is a thread's.
        std::thread::spawn(move || {
            setns(space, CloneFlags::CLONE_NEWNET).unwrap();
            let listener = TcpListener::bind("0.0.0.0:0").unwrap();
            told.send(listener.local_addr().unwrap().port()).unwrap();
            for mut client in listener.incoming().map_while(Result::ok) {
                let from = client.peer_addr().unwrap().ip();
                drop(writeln!(client, "welcome {from}"));
            }
        });
        made.port = port.recv_timeout(crate::support::PATIENCE).unwrap();
        made
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["link", "delete", &self.name]).status());
        drop(Command::new("ip").args(["netns", "delete", &self.name]).status());
    }
}

fn interfaces() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| {
            name.strip_prefix("firehall")
                .is_some_and(|rest| rest.parse::<u32>().is_ok())
        })
        .collect()
}

/// What a step says to whom it could connect to; steps of other tests, with the host's own network, try whatever port listens.
const WORD: &str = "a-step-is-here";

/// What answers at an address and a port, in one line.
fn visit(address: &str, port: u16) -> String {
    said_to(address, port, "true")
}

/// The same of a service that hears who comes, and answers nothing.
fn call(address: &str, port: u16) -> String {
    said_to(address, port, &format!("echo {WORD} >&3"))
}

fn said_to(address: &str, port: u16, say: &str) -> String {
    format!(
        "timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port} && {say} && head -1 <&3' 2>/dev/null || echo nothing at {address}"
    )
}

#[test]
fn a_step_reaches_the_world_and_neither_its_host_nor_metadata_nor_neighbours() {
    let world = World::new();
    let place = Place::new();
    // On every address of this host.
    let host = TcpListener::bind("0.0.0.0:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let ours = host.local_addr().unwrap().port();

    let mut neighbour = sh(
        "perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) or die; bind(S, pack_sockaddr_in(7777, INADDR_ANY)) or die $!; \
         listen(S, 5) or die; $| = 1; print \"up\\n\"; accept(C, S); print \"visited\\n\"'; sleep 60",
    );
    neighbour.network = Network::Egress;
    let neighbour = place.start(&neighbour);
    until_says(neighbour.dir(), "up");

    // The neighbour's address is one of these, and the step's own another, where nobody listens.
    let mut spec = sh(&format!(
        "{}; {}; {}; {}; {}; {}; for n in 2 6 10 14 18 22; do \
         timeout 3 bash -c \"exec 3<>/dev/tcp/198.18.64.$n/7777\" 2>/dev/null && echo reached neighbour $n; done; \
         cat /proc/net/if_inet6 | wc -l; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort; head -1 /etc/resolv.conf",
        visit(WORLD, world.port),
        call(HERE, ours),
        call("198.18.64.1", ours),
        call("198.18.64.5", ours),
        call("127.0.0.1", ours),
        visit(METADATA, world.port),
    ));
    spec.network = Network::Egress;
    let ran = place.run(&spec);
    assert_eq!(ran.record.start_error, None);
    let expected = format!(
        "welcome {HERE}\nnothing at {HERE}\nnothing at 198.18.64.1\nnothing at 198.18.64.5\nnothing at 127.0.0.1\nnothing at {METADATA}\n0\neth0\nlo\nnameserver 127.0.0.1\n"
    );
    assert_eq!(
        ran.out(),
        expected,
        "{}",
        std::fs::read_to_string(ran.dir.stderr()).unwrap()
    );
    while let Ok((mut stream, from)) = host.accept() {
        stream.set_nonblocking(false).unwrap();
        stream
            .set_read_timeout(Some(std::time::Duration::from_secs(2)))
            .unwrap();
        let mut said = [0; 64];
        let length = stream.read(&mut said).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..length]);
        assert!(
            from.ip().is_loopback() && !said.contains(WORD),
            "{from} came to the host and said {said:?}"
        );
    }
    neighbour.stop().unwrap();
    wait(&neighbour);
    let said = std::fs::read_to_string(neighbour.dir().stdout()).unwrap();
    assert_eq!(said, "up\n", "nobody came to the neighbour");
}

/// A name server on this host's loopback that knows one address, for whatever name is asked.
fn name_server() -> Ipv4Addr {
    // Of this process alone, and none that a resolver of the machine listens on.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 83, high, low.clamp(1, 254));
    let socket = UdpSocket::bind((address, 53)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            drop(socket.send_to(&answer(&buffer[..length]), from));
        }
    });
    address
}

/// RFC 1035: the question again, and for one of an address (type 1) the answer 192.0.2.77.
fn answer(question: &[u8]) -> Vec<u8> {
    const HEADER: usize = 12;
    let name = question[HEADER..].iter().position(|byte| *byte == 0).unwrap();
    let end = HEADER + name + 1 + 4;
    let is_address = question[end - 4..end] == [0, 1, 0, 1];
    let mut said = question[..2].to_vec();
    said.extend([0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    said.extend(&question[HEADER..end]);
    if is_address {
        said.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77]);
    }
    said
}

/// What this thread and its children see at `/etc/resolv.conf` from now on; nobody else does.
fn resolve_by(server: Ipv4Addr) {
    let at = std::fs::canonicalize("/etc/resolv.conf").unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "nameserver {server}").unwrap();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some(file.path()), &at, none, MsFlags::MS_BIND, none).unwrap();
}

#[test]
fn names_are_resolved_by_the_hosts_name_servers_also_where_a_step_reaches_none() {
    let server = name_server();
    let script = "perl -MSocket -e 'print inet_ntoa(gethostbyname(\"pay.firehall.test\") // die \"no such name\")'; echo; \
         cat /etc/resolv.conf";
    let ran = std::thread::spawn(move || {
        resolve_by(server);
        let place = Place::new();
        let mut spec = sh(script);
        spec.network = Network::Egress;
        let ran = place.run(&spec);
        (ran.out(), std::fs::read_to_string(ran.dir.stderr()).unwrap())
    });
    let (out, err) = ran.join().unwrap();
    assert_eq!(out, "192.0.2.77\nnameserver 127.0.0.1\n", "{err}");
}

#[test]
fn nothing_of_a_steps_network_stays_not_even_after_its_shim_was_killed() {
    let place = Place::new();
    let mut spec = sh("echo up; sleep 60");
    spec.network = Network::Egress;
    let handle = place.start(&spec);
    until_says(handle.dir(), "up");
    let own = interfaces();
    assert!(!own.is_empty(), "the step has an interface on the host's side");
    let shim = crate::support::shim_pid(handle.dir());
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(shim),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    wait(&handle);
    // Other tests have such interfaces too: one that was there must go.
    crate::support::until("an interface goes", || {
        let now = interfaces();
        own.iter().any(|name| !now.contains(name))
    });
}
