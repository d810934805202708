//! The units of the server and of root's agent under a real systemd, with all that they ask it to hold: in a guest, where systemd
//! is the first process of a namespace of its own.

use std::time::Duration;

use e2e::process;

const PATIENCE: Duration = Duration::from_secs(330);

/// An operator installs both, and replaces each while a step runs.
const SCRIPT: &str = r#"
set -e
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
hostname guest
touch /usr/local/bin/firehall
mount --bind @BINARY@ /usr/local/bin/firehall
echo 'firehall:x:61300:61300::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
echo 'firehall:x:61300:' >> /etc/group
mkdir -p /etc/firehall
echo 'FIREHALL_WEBHOOK_SECRET=not-to-be-seen-anywhere' > /etc/firehall/server.env
: > /etc/firehall/agent.env
cp @UNITS@/agent.toml /etc/firehall/agent.toml

# Nothing of the host's own: what is started is ours, and does not wait for what a machine does when it starts.
rm -rf /etc/systemd/system /run/systemd
mkdir -p /etc/systemd/system /run/systemd/system
printf '[Unit]\nDefaultDependencies=no\n' > /etc/systemd/system/nothing.target
for unit in firehall-server firehall-agent; do
  cp @UNITS@/$unit.service /etc/systemd/system/
  mkdir /etc/systemd/system/$unit.service.d
  printf '[Unit]\nDefaultDependencies=no\n[Service]\nStandardOutput=append:/run/%s.log\nStandardError=append:/run/%s.log\n' $unit $unit > /etc/systemd/system/$unit.service.d/test.conf
done
# It talks with whom it can see only.
inside() { nsenter --target $(pgrep -x systemd | head -n 1) --pid --mount "$@"; }
control() { inside systemctl --no-pager "$@"; }
gave_up() { echo "never: $*"; control status firehall-server firehall-agent || true; tail -n 30 /run/*.log; exit 1; }
until_done() { for n in $(seq 150); do if "$@" > /dev/null 2>&1; then return 0; fi; sleep 0.2; done; gave_up "$@"; }
unshare --pid --mount --fork --kill-child --mount-proc env container=guest SYSTEMD_LOG_TARGET=console \
  /lib/systemd/systemd --system --unit=nothing.target > /run/systemd.log 2>&1 < /dev/null &
until_done test -S /run/systemd/private
until_done control is-active nothing.target

control start firehall-server || gave_up server
firehall runs
control start firehall-agent || gave_up agent
connected() { firehall agents | grep ' connected '; }
until_done connected
# Of what its processes are inside: as numbers there.
held() { inside grep -E "$2" /proc/$(control show -P MainPID $1)/status; }
held firehall-server 'Uid:\s61300\s61300'
held firehall-server 'CapBnd:\s0000000000000000'
held firehall-server 'NoNewPrivs:\s1'
held firehall-server 'Seccomp:\s2'
held firehall-agent 'NoNewPrivs:\s1'
stat --format '%a %U' /var/lib/firehall | grep -x '700 firehall'
stat --format '%a %U' /var/lib/firehall-agent | grep -x '700 root'

printf 'name: held\nsteps:\n  only:\n    image: host\n    resources: { memory: 64MiB }\n    run: for i in $(seq 45); do sleep 1; done; echo it works; exit 7\n' > /tmp/held.yaml
run=$(firehall run /tmp/held.yaml)
groups() { find /sys/fs/cgroup -type d -path '*/firehall/lse_*'; }
limited() { test -n "$(groups)" && grep -x 67108864 $(groups)/memory.max; }
until_done limited
# Each is replaced as an operator does it; then the agent is away for a while, and the step is not.
control restart firehall-server
control restart firehall-agent
until_done connected
limited
control stop firehall-agent
sleep 1
limited
control start firehall-agent
until_done connected
code=0; firehall watch $run > /dev/null || code=$?
test $code = 1 || gave_up "code 1, but $code"
firehall show $run -o json | grep '"exit_code": 7'
firehall show $run -o json | grep 'native: seccomp 2, no_new_privs true, capabilities 0000000000000000'
logged() { firehall logs $run only | grep 'it works'; }
until_done logged
nothing() { test -z "$(groups)"; }
until_done nothing
control is-active firehall-server firehall-agent
test "$(control show -P NRestarts firehall-server firehall-agent | sort -u | tr -d '\n')" = 0
if grep not-to-be-seen-anywhere /run/*.log; then exit 1; fi
control stop firehall-agent firehall-server
"#;

#[test]
fn full_the_units_hold_what_they_say_and_a_step_outlives_their_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    let units = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/systemd");
    let binary = process::binary().display().to_string();
    let text = SCRIPT.replace("@BINARY@", &binary).replace("@UNITS@", units);
    std::fs::write(&script, text).unwrap();
    // The guest's own shell has programs of its own.
    let told = guest::run(&format!("exec /bin/bash {}", script.display()), PATIENCE).unwrap();
    assert_eq!(told.code, Some(0), "{}", told.text);
}
