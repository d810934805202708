//! Who a step can reach: nobody, or the host's world when it is asked for.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};

use runtime::Network;

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
];

/// Tries to connect, and says so when it could.
fn connects(address: &str, port: u16) -> String {
    format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>/dev/null && echo reached {address}")
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

/// Addresses of this host, loopback and others.
fn addresses() -> Vec<String> {
    let mut found = vec!["127.0.0.1".to_owned()];
    // A connected datagram socket tells which address would be used; nothing is sent.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_ok()
        && let Ok(SocketAddr::V4(address)) = socket.local_addr()
    {
        found.push(address.ip().to_string());
    }
    found.push("172.17.0.1".to_owned());
    found
}

fn none_reaches_no_service_of_the_host(place: &Place) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let tries: Vec<String> = addresses()
        .iter()
        .map(|address| connects(address, port))
        .collect();
    let ran = place.run(&bash(&format!("{}; true", tries.join("; "))));
    assert_eq!(ran.out(), "", "{}", ran.err());
    assert!(listener.accept().is_err(), "nothing came");
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
    let greet = std::thread::spawn(move || {
        listener
            .accept()
            .unwrap()
            .0
            .write_all(b"hello from the host")
            .unwrap()
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
    greet.join().unwrap();
}

fn no_network_lets_a_step_forge_packets(place: &Place) {
    // AF_PACKET, raw IP, ICMP: each needs a capability that no step has.
    let script = "perl -e 'for ([17, 3, 768], [2, 3, 255], [2, 3, 1], [10, 3, 58]) { \
        print \"open @$_\\n\" if socket(S, $_->[0], $_->[1], $_->[2]) } print \"end\\n\"'";
    for network in [Network::None, Network::Host] {
        for user in [0, 1000] {
            let mut spec = sh(script);
            (spec.network, spec.user) = (network, Some(user));
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

/// A runtime without it says so, with what to use in its place.
fn egress_reaches_neither_host_nor_metadata_nor_neighbour(place: &Place) {
    let egress = |script: &str| {
        let mut spec = bash(script);
        spec.network = Network::Egress;
        spec
    };
    if let Some(why) = place.runtime().refuses(&egress("true")) {
        assert!(why.contains("egress") && why.contains("network: none"), "{why}");
        return;
    }
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
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
    let mut tries: Vec<String> = addresses()
        .iter()
        .map(|address| connects(address, port))
        .collect();
    tries.push(connects("$gateway", port).replace('\'', "\""));
    tries.extend(["169.254.169.254", "169.254.170.2"].map(|address| connects(address, 80)));
    tries.extend(
        theirs
            .iter()
            .filter(|address| !address.starts_with("127."))
            .map(|address| connects(address, 7777)),
    );
    let ran = place.run(&egress(&format!("{gateway}; {}; true", tries.join("; "))));
    assert_eq!(ran.out(), "", "{}", ran.err());
    assert!(listener.accept().is_err(), "nothing came");
    place.stop(&neighbour);
    assert!(!place.end(&neighbour).out().contains("visited"));
}
