//! The Debian package, made by its command and put on a machine: a guest with this host's system, of which nothing changes.

use std::{path::Path, process::Command, time::Duration};

use e2e::process;

const PATIENCE: Duration = Duration::from_secs(240);

/// What an operator does with it, one line after the other; the first that fails ends it.
const SCRIPT: &str = r#"
set -ex
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root
hostname guest
dpkg --force-unsafe-io --install @PACKAGE@
test "$(command -v firehall)" = /usr/bin/firehall
firehall --version
grep '^ExecStart=/usr/bin/systemd-run .* /usr/bin/firehall agent ' /usr/lib/systemd/user/firehall-agent.service
firehall agent check-config /etc/firehall/agent.toml
dpkg-query --show --showformat '${Conffiles}\n' firehall | grep /etc/firehall/agent.toml
stat --format '%a %U %n' /etc/firehall/server.env /etc/firehall/agent.env | grep -c '^600 root' | grep -x 2

# Both as their units start them: the server as its user with its secret, the agent as root.
command=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/firehall-server.service)
install -d -m 0700 -o firehall -g firehall /var/lib/firehall
(. /etc/firehall/server.env; export FIREHALL_WEBHOOK_SECRET HOME=/var/lib/firehall
 exec setpriv --reuid firehall --regid firehall --init-groups --no-new-privs --bounding-set=-all $command) > /tmp/server.log 2>&1 &
server=$!
command=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/firehall-agent.service | sed 's/%H/guest/')
$command > /tmp/agent.log 2>&1 &
agent=$!
for n in $(seq 600); do
  firehall agents 2> /dev/null | grep ' connected ' && break
  kill -0 $server && kill -0 $agent || { cat /tmp/server.log /tmp/agent.log; exit 1; }
  sleep 0.2
done
printf 'name: packaged\nsteps:\n  only:\n    image: host\n    run: echo it works\n' > /tmp/packaged.yaml
run=$(firehall run /tmp/packaged.yaml)
firehall watch "$run" > /dev/null
firehall logs "$run" only | grep 'it works'
kill $agent $server
wait $agent $server || true

dpkg --force-unsafe-io --remove firehall
test ! -e /usr/bin/firehall
test -e /var/lib/firehall/history.db
test -e /etc/firehall/server.env
dpkg --force-unsafe-io --purge firehall
test ! -e /var/lib/firehall
test ! -e /etc/firehall
"#;

/// The program of these tests, packaged as `cargo xtask deb` packages a release.
fn package(into: &Path) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["xtask", "deb", "--binary"])
        .arg(process::binary())
        .arg("--out")
        .arg(into)
        // A build for tests is large, and nobody keeps this package (dpkg-deb(1)).
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said.lines().last().unwrap().to_owned()
}

#[test]
fn a_package_is_installed_works_keeps_histories_and_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path());
    let script = dir.path().join("script");
    std::fs::write(&script, SCRIPT.replace("@PACKAGE@", &package)).unwrap();
    // The guest's own shell knows a `dpkg` of its own.
    let told = guest::run(&format!("exec /bin/bash {}", script.display()), PATIENCE).unwrap();
    assert_eq!(told.code, Some(0), "{}", told.text);
}
