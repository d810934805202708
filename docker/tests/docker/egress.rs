//! Egress: outwards, and not to the host, its link-local neighbours, or another step.

use std::fs::File;
use std::net::TcpListener;
use std::process::Command;

use runtime::{ContainerSpec, Network, Runtime};

use crate::support::{Place, finished, says, script};

/// An address that is neither the host's nor a step's: in a network namespace behind the host.
struct Outside {
    name: String,
    server: Option<std::process::Child>,
    _alone: File,
}

const HERE: &str = "198.19.254.1";
const THERE: &str = "198.19.254.2";
const METADATA: &str = "169.254.169.254";

/// The host has one route to that address: tests that make it (the other runtime's too) take turns.
fn alone() -> File {
    let turn = File::create(std::env::temp_dir().join("firehall-test-metadata.lock")).unwrap();
    turn.lock().unwrap();
    turn
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "ip {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Outside {
    fn new() -> Self {
        let alone = alone();
        let name = format!("fhout{}", std::process::id());
        ip(&["netns", "add", &name]);
        let mut made = Self {
            name,
            server: None,
            _alone: alone,
        };
        let (near, far) = (
            format!("n{}", std::process::id()),
            format!("f{}", std::process::id()),
        );
        ip(&[
            "link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &made.name,
        ]);
        ip(&["addr", "add", &format!("{HERE}/30"), "dev", &near]);
        ip(&["link", "set", &near, "up"]);
        ip(&[
            "-n",
            &made.name,
            "addr",
            "add",
            &format!("{THERE}/30"),
            "dev",
            &far,
        ]);
        ip(&[
            "-n",
            &made.name,
            "addr",
            "add",
            &format!("{METADATA}/32"),
            "dev",
            &far,
        ]);
        ip(&["-n", &made.name, "link", "set", &far, "up"]);
        ip(&["-n", &made.name, "link", "set", "lo", "up"]);
        ip(&["-n", &made.name, "route", "add", "default", "via", HERE]);
        ip(&["route", "add", METADATA, "via", THERE]);
        let server = Command::new("ip")
            .args([
                "netns", "exec", &made.name, "busybox", "httpd", "-f", "-p", "8080", "-h", "/var",
            ])
            .spawn()
            .unwrap();
        made.server = Some(server);
        made
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _killed = server.kill();
            let _gone = server.wait();
        }
        // The cable at once, and the host's route with it: a namespace goes when the kernel finds time.
        let near = format!("n{}", std::process::id());
        let _gone = Command::new("ip").args(["link", "del", &near]).status();
        let _gone = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn egress(text: &str) -> ContainerSpec {
    let mut spec = script(text);
    spec.network = Network::Egress;
    spec
}

/// Says `address` when it can be reached.
fn reaches(address: &str, port: u16) -> String {
    format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>/dev/null && echo {address} || true")
}

#[tokio::test(flavor = "multi_thread")]
async fn egress_goes_out_and_neither_to_the_host_nor_to_metadata_nor_to_a_neighbour() {
    let outside = Outside::new();
    let place = Place::new().await;
    // From the host both are there: what a step does not reach, it is kept from.
    let until = std::time::Instant::now() + crate::support::PATIENCE;
    for address in [THERE, METADATA] {
        while std::net::TcpStream::connect((address, 8080)).is_err() {
            assert!(std::time::Instant::now() < until, "{address} is not there");
        }
    }
    let host = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = host.local_addr().unwrap().port();
    // A neighbour that listens and says where.
    let dir = place.dir();
    let neighbour = egress("hostname -I; busybox nc -l -p 8081");
    let id = neighbour.id.clone();
    let running = place.docker.start(&dir, neighbour, Vec::new()).await.unwrap();
    says(&dir.join("out"), "\n").await;
    says(&dir.join("out"), ".").await;
    let text = std::fs::read_to_string(dir.join("out")).unwrap();
    let near = text
        .split_whitespace()
        .find(|word| word.contains('.'))
        .unwrap()
        .to_owned();
    let gateway = format!("{}.1", near.rsplit_once('.').unwrap().0);

    // The daemon's own name server answers: it knows its containers.
    let tries = [
        format!("getent hosts firehall-{id} | cut -d' ' -f1"),
        reaches(THERE, 8080),
        reaches(METADATA, 8080),
        reaches(HERE, port),
        reaches(&gateway, port),
        reaches("172.17.0.1", port),
        reaches(&near, 8081),
        "echo done".to_owned(),
    ];
    let ran = place.run(egress(&tries.join("\n"))).await;
    assert_eq!(
        ran.out(),
        format!("{near}\n{THERE}\ndone\n"),
        "{:?} {}",
        ran.record,
        ran.err()
    );
    place.docker.stop(&dir).await.unwrap();
    finished(running).await;
    place.leave().await;
    drop(outside);
}
