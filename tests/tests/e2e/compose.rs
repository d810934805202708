//! The compose file, with the package and the image that it names, on a Docker daemon of its own. The base image is a stand-in
//! under the base's name, made by debootstrap: no registry but Debian's is needed.

use std::{path::Path, process::Command, time::Duration};

use e2e::process;

const PATIENCE: Duration = Duration::from_secs(600);

/// What both parts begin with: a daemon in namespaces of the test's own, with the socket and the directories that the file names.
const DAEMON: &str = r#"
set -e
dir=$1
PATH=$2:$PATH
mount -t tmpfs none /run
mount -t tmpfs none /var/lib
cd $dir/project/deploy/compose
daemon() {
  dockerd --data-root $dir/data --exec-root /run/docker-exec --host unix:///run/docker.sock --pidfile /run/dockerd.pid "$@" > $dir/dockerd.log 2>&1 &
  daemon=$!
  until_so docker version
}
# Containerd is its child, and would hold the script's output.
stop() { kill $daemon; wait $daemon || true; }
until_so() { for n in $(seq 300); do if "$@" > /dev/null 2>&1; then return 0; fi; sleep 0.2; done; echo "never: $*"; docker-compose logs --no-color; tail -n 20 $dir/dockerd.log; exit 1; }
"#;

/// With this host's network: Debian's packages come from there. The bridge is in the place of `docker0`, which a daemon without
/// any would remove.
const BUILD: &str = r#"
ip link add fht-compose type bridge
trap 'ip link delete fht-compose' EXIT
ip address add 198.19.255.253/30 dev fht-compose
daemon --bridge fht-compose --iptables=false --ip6tables=false
tar -C $dir/base -c . | docker import - debian:bookworm-slim > /dev/null
docker-compose build
stop
"#;

/// With a network of its own, in which its ports are free. What an operator does, one line after the other.
const USE: &str = r#"
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
daemon
connected() { firehall agents | grep ' connected '; }
healthy() { docker inspect --format '{{.State.Health.Status}}' $(docker-compose ps -q server) | grep -x healthy; }
nothing() { test -z "$(docker ps --all --quiet)"; }
before=$(docker network ls --format '{{.Name}}')
docker-compose up --detach
until_so connected
until_so healthy
firehall agents | grep composed | grep docker

printf 'name: held\nsteps:\n  in:\n    image: host\n    resources: { memory: 64MiB }\n    run: echo it works\n  out:\n    image: host\n    network: egress\n    run: echo out works\n' > held.yaml
held=$(firehall run held.yaml)
timeout 120 firehall watch $held || { firehall show $held; docker-compose logs --no-color; exit 1; }
until_so grep -x 'it works' <(firehall logs $held in)
firehall logs $held out | grep -x 'out works'

# A step outlives both of them.
printf 'name: long\nsteps:\n  only:\n    image: host\n    run: for i in $(seq 15); do echo line $i; sleep 1; done; exit 7\n' > long.yaml
long=$(firehall run long.yaml)
begun() { firehall logs $long only | grep 'line 2'; }
until_so begun
docker-compose restart
until_so connected
code=0; timeout 120 firehall watch $long || code=$?
test $code = 1
firehall show $long | grep 'exit code 7'
whole() { test "$(firehall logs $long only)" = "$(for i in $(seq 15); do echo line $i; done)"; }
until_so whole

docker-compose down
until_so nothing
docker-compose up --detach
until_so connected
firehall runs | grep $held | grep succeeded
firehall runs | grep $long | grep failed
docker-compose down --volumes
until_so nothing
test -z "$(docker volume ls --quiet)"
test "$(docker network ls --format '{{.Name}}' | sort)" = "$(printf '%s\n' $before firehall-egress | sort)"
test -z "$(ls /var/lib/firehall-agent/attempts)"
stop
"#;

fn run(what: &str, command: &mut Command) {
    let output = process::finish_within(command, PATIENCE);
    assert!(
        output.status.success(),
        "{what}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A part of it in namespaces that end with it, whatever is left in them.
fn part(dir: &Path, more: &str, script: &str) {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !more.is_empty() {
        command.arg(more);
    }
    command.args(["/bin/bash", "-c", &format!("{DAEMON}{script}"), "compose"]);
    command
        .arg(dir)
        .arg(process::binary().parent().expect("a directory"))
        .env("DOCKER_HOST", "unix:///run/docker.sock");
    run(script, &mut command);
}

/// The project as far as the file needs it: itself, and the package.
fn project(dir: &Path) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let compose = dir.join("project/deploy/compose");
    std::fs::create_dir_all(&compose).unwrap();
    std::fs::copy(format!("{root}/.dockerignore"), dir.join("project/.dockerignore")).unwrap();
    for file in ["Dockerfile", "compose.yaml"] {
        std::fs::copy(format!("{root}/deploy/compose/{file}"), compose.join(file)).unwrap();
    }
    for (file, from, to) in [
        (
            "server.env",
            "SECRET=",
            "SECRET=0123456789012345678901234567890123456789",
        ),
        ("agent.env", "=host=", "=host=composed"),
    ] {
        let example = std::fs::read_to_string(format!("{root}/deploy/compose/{file}.example")).unwrap();
        assert!(example.contains(from), "{example}");
        let filled = example.replace(from, to).replace("NAME=\n", "NAME=composed\n");
        std::fs::write(compose.join(file), filled).unwrap();
    }
    let out = dir.join("project/target/debian");
    let mut package = Command::new(env!("CARGO"));
    package.args(["xtask", "deb", "--binary"]).arg(process::binary());
    // A build for tests is large, and nobody keeps this package (dpkg-deb(1)).
    package
        .arg("--out")
        .arg(out)
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    run("the package", package.current_dir(root));
}

#[test]
fn full_the_compose_file_comes_up_runs_steps_through_a_restart_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let mut base = Command::new("debootstrap");
    base.args(["--variant=minbase", "bookworm"])
        .arg(dir.path().join("base"));
    run("the base", base.arg("http://deb.debian.org/debian"));
    part(dir.path(), "", BUILD);
    part(dir.path(), "--net", USE);
}
