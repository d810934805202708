//! Who a step can reach: nobody, or the host's world when it is asked for.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::time::{Duration, Instant};

use runtime::{ContainerSpec, Network};

use crate::place::{Place, bash, sh};

crate::suite![
    none_has_no_interface_but_its_own_loopback,
    none_reaches_no_service_of_the_host,
    none_reaches_no_metadata_service_and_no_name,
    none_reaches_no_abstract_socket_of_the_host,
    none_reaches_no_neighbour,
    the_loopback_of_a_step_is_its_own,
    host_is_the_hosts_network,
    no_network_lets_a_step_forge_packets,
    no_socket_of_a_daemon_is_there,
    egress_reaches_neither_host_nor_metadata_nor_neighbour,
    egress_has_no_ipv6_and_no_link_local_way_to_the_host,
];

/// What a step says to whom it could connect to. Who else connects says nothing: a step of another test, with the host's own
/// network, that tries each port which listens (`firehall/investigate`).
const WORD: &str = "a-step-is-here";

/// Tries to connect, and says so when it could, on both sides.
fn connects(address: &str, port: u16) -> String {
    format!(
        "timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/{port} && {{ echo {WORD} >&3; true; }}' 2>/dev/null && echo reached {address}"
    )
}

/// A service of this host at a port that the kernel gives nobody by itself, so that nothing which knows an old port of its own
/// dials this one.
fn service(address: &str) -> TcpListener {
    let mut ports = 20_000_u16..30_000;
    let listener = ports.find_map(|port| TcpListener::bind((address, port)).ok());
    let listener = listener.expect("a free port");
    listener.set_nonblocking(true).unwrap();
    listener
}

/// Who came, once somebody has: a connection is there a moment before it can be taken.
fn accepted(listener: &TcpListener) -> SocketAddr {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match listener.accept() {
            Ok((_, from)) => return from,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("nobody came: {error}"),
        }
    }
}

/// Neither from another address than loopback, which a step with a network of its own cannot have at the host, nor with the word
/// of a step.
fn nothing_came(listener: &TcpListener) {
    while let Ok((mut stream, from)) = listener.accept() {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut said = [0; 64];
        let length = stream.read(&mut said).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..length]);
        assert!(
            from.ip().to_canonical().is_loopback() && !said.contains(WORD),
            "{from} came and said {said:?}"
        );
    }
}

/// All of them beside each other: what is dropped is silent until its timeout.
fn at_once(tries: &[String]) -> String {
    format!("{} & wait", tries.join(" & "))
}

fn none_has_no_interface_but_its_own_loopback(place: &Place) {
    let ran = place.sh(
        "tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route; cat /proc/net/arp | tail -n +2",
    );
    assert_eq!(ran.out().trim(), "lo", "{}", ran.err());
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(
        place.sh("readlink /proc/self/ns/net").out().trim(),
        own.to_string_lossy()
    );
}

/// Each IPv4 address of this host, of loopback, uplinks and bridges, as the kernel routes them.
fn addresses() -> BTreeSet<String> {
    let routes = std::fs::read_to_string("/proc/net/fib_trie").unwrap();
    let mut last = "";
    let mut found = BTreeSet::new();
    for line in routes.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address;
        } else if line.trim_end().ends_with("/32 host LOCAL") {
            found.insert(last.to_owned());
        }
    }
    assert!(found.contains("127.0.0.1"), "{routes}");
    found
}

/// What was reached of `tried`. An address that left the host meanwhile leads beyond it, where whoever likes may answer.
fn reached(ran: &str, tried: &BTreeSet<String>) -> String {
    let there = addresses();
    let gone = |line: &&str| {
        let address = line.strip_prefix("reached ");
        address.is_some_and(|address| tried.contains(address) && !there.contains(address))
    };
    let lines = ran.lines().filter(|line| !gone(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn none_reaches_no_service_of_the_host(place: &Place) {
    let listener = service("0.0.0.0");
    let port = listener.local_addr().unwrap().port();
    let tries: Vec<String> = addresses()
        .iter()
        .map(|address| connects(address, port))
        .collect();
    let ran = place.run(&bash(&format!("{}; true", tries.join("; "))));
    assert_eq!(ran.out(), "", "{}", ran.err());
    nothing_came(&listener);
}

fn none_reaches_no_metadata_service_and_no_name(place: &Place) {
    let tries: Vec<String> = ["169.254.169.254", "169.254.170.2", "8.8.8.8"]
        .iter()
        .map(|address| connects(address, 80))
        .collect();
    let script = format!(
        "{}; getent hosts example.com; getent hosts metadata.google.internal; true",
        tries.join("; ")
    );
    assert_eq!(place.run(&bash(&script)).out(), "");
}

fn none_reaches_no_abstract_socket_of_the_host(place: &Place) {
    let name = format!("firehall-case-{}", std::process::id());
    let listener = UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name).unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let script = format!(
        "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) or die; \
         print connect(S, pack(\"S a*\", AF_UNIX, \"\\0{name}\")) ? \"reached\" : \"refused\"'"
    );
    let ran = place.sh(&script);
    assert_eq!(ran.out(), "refused", "{}", ran.err());
    assert!(listener.accept().is_err(), "nothing came");
}

fn none_reaches_no_neighbour(place: &Place) {
    let neighbour = place.start(&sh(
        "perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) or die; bind(S, pack_sockaddr_in(7777, INADDR_ANY)) or die $!; \
         listen(S, 5) or die; $| = 1; print \"up\\n\"; accept(C, S); print \"visited\\n\"'",
    ));
    neighbour.says("up");
    let ran = place.run(&bash(&format!("{}; true", connects("127.0.0.1", 7777))));
    assert_eq!(ran.out(), "");
    place.stop(&neighbour);
    assert_eq!(place.end(&neighbour).out(), "up\n");
}

fn the_loopback_of_a_step_is_its_own(place: &Place) {
    // Whether it is up or down, two steps on the same port do not meet, and the host's ports are free.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) or die; \
         print bind(S, pack_sockaddr_in({port}, INADDR_ANY)) ? \"free\" : \"taken: $!\"'"
    );
    assert_eq!(place.sh(&script).out(), "free");
}

fn host_is_the_hosts_network(place: &Place) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Others may come, too, before the step does.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.and_then(|mut stream| stream.write_all(b"hello from the host")));
        }
    });
    let mut spec = bash(&format!(
        "readlink /proc/self/ns/net; exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3"
    ));
    spec.network = Network::Host;
    let ran = place.run(&spec);
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(
        ran.out(),
        format!("{}\nhello from the host", own.display()),
        "{}",
        ran.err()
    );
}

fn no_network_lets_a_step_forge_packets(place: &Place) {
    // AF_PACKET, raw IP, ICMP: each needs a capability that no step has.
    let script = "perl -e 'for ([17, 3, 768], [2, 3, 255], [2, 3, 1], [10, 3, 58]) { \
        print \"open @$_\\n\" if socket(S, $_->[0], $_->[1], $_->[2]) } print \"end\\n\"'";
    // With egress neighbours would hear them.
    for network in [Network::None, Network::Host, Network::Egress] {
        for user in [0, 1000] {
            let mut spec = sh(script);
            (spec.network, spec.user) = (network, Some(user));
            if refuses_egress(place, &spec) {
                continue;
            }
            assert_eq!(place.run(&spec).out(), "end\n", "{network:?}, user {user}");
        }
    }
}

fn no_socket_of_a_daemon_is_there(place: &Place) {
    let mut spec = sh(
        "for s in docker.sock podman/podman.sock containerd/containerd.sock crio/crio.sock dbus/system_bus_socket systemd/private; do \
        for d in /run /var/run /host/run; do [ -e $d/$s ] && echo $d/$s; done; done; find / -xdev -type s 2>/dev/null; true",
    );
    spec.user = Some(0);
    assert_eq!(place.run(&spec).out(), "");
}

fn egress(script: &str) -> ContainerSpec {
    let mut spec = bash(script);
    spec.network = Network::Egress;
    spec
}

/// A runtime without it says so, with what to use in its place.
fn refuses_egress(place: &Place, spec: &ContainerSpec) -> bool {
    if spec.network != Network::Egress {
        return false;
    }
    let why = place.runtime().refuses(spec);
    if let Some(why) = &why {
        assert!(why.contains("egress") && why.contains("network: none"), "{why}");
    }
    why.is_some()
}

fn egress_reaches_neither_host_nor_metadata_nor_neighbour(place: &Place) {
    if refuses_egress(place, &egress("true")) {
        return;
    }
    let listener = service("0.0.0.0");
    let port = listener.local_addr().unwrap().port();
    let neighbour = place.start(&egress(
        "perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) or die; bind(S, pack_sockaddr_in(7777, INADDR_ANY)) or die $!; \
         listen(S, 5) or die; $| = 1; open R, \"/proc/net/fib_trie\"; print join(\" \", map { /-- ([0-9.]+)/ } <R>), \" up\\n\"; \
         accept(C, S); print \"visited\\n\"'",
    ));
    neighbour.says("up");
    let said = std::fs::read_to_string(neighbour.dir().stdout()).unwrap();
    let theirs: Vec<&str> = said
        .split_whitespace()
        .filter(|word| word.contains('.'))
        .collect();
    assert!(
        theirs.iter().any(|address| !address.starts_with("127.")),
        "it has an address: {said}"
    );
    // The gateway is the host, too.
    let gateway = "g=$(awk '$2 == \"00000000\" { print $3 }' /proc/net/route | head -1); \
        gateway=$(printf '%d.%d.%d.%d' 0x${g:6:2} 0x${g:4:2} 0x${g:2:2} 0x${g:0:2})";
    let ours = addresses();
    let mut tries: Vec<String> = ours.iter().map(|address| connects(address, port)).collect();
    tries.push(connects("$gateway", port).replace('\'', "\""));
    tries.extend(["169.254.169.254", "169.254.170.2"].map(|address| connects(address, 80)));
    tries.extend(
        theirs
            .iter()
            .filter(|address| !address.starts_with("127."))
            .map(|address| connects(address, 7777)),
    );
    let ran = place.run(&egress(&format!("{gateway}; {}", at_once(&tries))));
    assert_eq!(reached(&ran.out(), &ours), "", "{}", ran.err());
    nothing_came(&listener);
    place.stop(&neighbour);
    assert!(!place.end(&neighbour).out().contains("visited"));
}

/// Lines of `/proc/net/if_inet6`: address, index, prefix, scope, flags, interface; none on a kernel without IPv6.
fn ipv6_of_this_host() -> Vec<(Ipv6Addr, String)> {
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let parsed = text.lines().map(|line| {
        let mut words = line.split_whitespace();
        let bits = u128::from_str_radix(words.next().unwrap(), 16).unwrap();
        (Ipv6Addr::from(bits), words.last().unwrap().to_owned())
    });
    parsed.collect()
}

fn egress_has_no_ipv6_and_no_link_local_way_to_the_host(place: &Place) {
    if refuses_egress(place, &egress("true")) {
        return;
    }
    // The bridge, or the step's cable, has its address on the host while somebody is on it.
    let neighbour = place.start(&egress("cat /proc/net/if_inet6; echo up; exec sleep 1000"));
    neighbour.says("up");
    let said = std::fs::read_to_string(neighbour.dir().stdout()).unwrap();
    let inside: Vec<&str> = said.lines().filter(|line| line.contains(' ')).collect();
    assert!(inside.iter().all(|line| line.ends_with(" lo")), "{said}");
    let ours = ipv6_of_this_host();
    if ours.is_empty() {
        return;
    }
    let listener = service("::");
    let port = listener.local_addr().unwrap().port();
    let mut tries = Vec::new();
    for (address, interface) in ours {
        // From the host each of them answers: what a step does not reach, it is kept from.
        let near = if address.is_unicast_link_local() {
            format!("%{interface}")
        } else {
            String::new()
        };
        let Some(here) = TcpStream::connect(format!("[{address}{near}]:{port}"))
            .ok()
            .filter(|_| !address.is_loopback())
        else {
            continue;
        };
        let here = here.local_addr().unwrap();
        while accepted(&listener).port() != here.port() {}
        let inside = if near.is_empty() { "" } else { "%eth0" };
        tries.push(connects(&format!("{address}{inside}"), port));
    }
    tries.push(
        "ls /sys/class/net 2>/dev/null | grep -q eth0 || grep -q eth0 /proc/net/dev || echo no eth0"
            .to_owned(),
    );
    let ran = place.run(&egress(&tries.join("; ")));
    assert_eq!(ran.out(), "", "{}", ran.err());
    nothing_came(&listener);
}
