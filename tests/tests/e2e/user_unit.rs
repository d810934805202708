//! The unit of an ordinary user's agent under a real systemd, which runs for that user alone: in a guest, where cgroup
//! version 2 is alone.

use std::time::Duration;

use e2e::process;

const PATIENCE: Duration = Duration::from_secs(330);

/// A user logs in, starts her agent by the unit that we ship, and a step runs through a kill of the agent.
const SCRIPT: &str = r#"
set -e
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
hostname guest
cg=/sys/fs/cgroup/user
echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control
mkdir -p $cg /run/home/.config/systemd/user /run/user/61237 /run/systemd/system
chown 61237 $cg $cg/cgroup.procs $cg/cgroup.subtree_control $cg/cgroup.threads
touch /usr/local/bin/firehall
mount --bind @BINARY@ /usr/local/bin/firehall
sed '/^UMask/a StandardError=append:/run/home/agent.log' @UNIT@ > /run/home/.config/systemd/user/firehall-agent.service
chown -R 61237 /run/home /run/user/61237
chmod 0700 /run/user/61237
echo 'somebody:x:61237:61237::/run/home:/bin/sh' >> /etc/passwd
as_user() { setpriv --reuid 61237 --regid 61237 --clear-groups env HOME=/run/home XDG_RUNTIME_DIR=/run/user/61237 "$@"; }
until_done() { for n in $(seq 150); do if "$@" > /dev/null 2>&1; then return 0; fi; sleep 0.2; done; echo "never: $*"; cat /run/*.log /run/home/agent.log; exit 1; }
control() { as_user systemctl --user --no-pager "$@"; }
groups() { find $cg -type d -path '*/firehall/lse_*'; }
limited() { test -n "$(groups)" && grep -x 67108864 $(groups)/memory.max && grep -x '50000 100000' $(groups)/cpu.max; }
agent() { control show -P MainPID firehall-agent; }
another() { test "$(agent)" != 0 && test "$(agent)" != "$first" && control is-active firehall-agent; }
connected() { firehall agents | grep ' connected '; }
logged() { firehall logs $run only | grep 'it works'; }
gone() { test -z "$(find $cg -name firehall-agent)"; }
nothing() { test -z "$(find $cg -name firehall)"; }

(echo $BASHPID > $cg/cgroup.procs; exec setpriv --reuid 61237 --regid 61237 --clear-groups env HOME=/run/home \
  XDG_RUNTIME_DIR=/run/user/61237 SYSTEMD_LOG_TARGET=console /lib/systemd/systemd --user) > /run/systemd.log 2>&1 &
as_user firehall server --listen 127.0.0.1:7911 --data-dir /run/home/server > /run/server.log 2>&1 &
until_done test -S /run/user/61237/systemd/private
until_done firehall runs
control start firehall-agent || { cat /run/systemd.log /run/home/agent.log; exit 1; }
until_done connected

printf 'name: held\nsteps:\n  only:\n    image: host\n    resources: { memory: 64MiB, cpu: 0.5 }\n    run: for i in $(seq 40); do sleep 1; done; echo it works; exit 7\n' > /tmp/held.yaml
run=$(firehall run /tmp/held.yaml)
until_done limited
first=$(agent)
kill -9 $first
until_done another
limited
code=0; firehall watch $run > /dev/null || code=$?
test $code = 1
firehall show $run -o json | grep '"exit_code": 7'
firehall show $run -o json | grep 'native: seccomp 2, no_new_privs true, capabilities 0000000000000000, host uid 61237"'
until_done logged

printf 'name: eats\nsteps:\n  only:\n    image: host\n    resources: { memory: 32MiB }\n    run: x=x; while true; do x=$x$x; done\n' > /tmp/eats.yaml
run=$(firehall run /tmp/eats.yaml)
firehall watch $run > /dev/null || true
firehall show $run | grep 'memory'
control is-active firehall-agent
until_done nothing
# From where this systemd may take a process itself; out of a login it asks the system's to do it.
(echo $BASHPID > $cg/init.scope/cgroup.procs; as_user systemd-run --user --scope --quiet --property=Delegate=yes firehall doctor -o json) > /tmp/told || true
grep 'they hold a step as a whole, by its cgroup (cgroup v2, delegated at /user/app.slice/run-' /tmp/told || { cat /tmp/told; exit 1; }
control stop firehall-agent
until_done gone
"#;

#[test]
fn full_the_unit_of_a_user_holds_limits_and_its_next_agent_takes_up_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/systemd/user/firehall-agent.service"
    );
    let binary = process::binary().display().to_string();
    std::fs::write(
        &script,
        SCRIPT.replace("@BINARY@", &binary).replace("@UNIT@", unit),
    )
    .unwrap();
    // The guest's own shell has programs of its own.
    let told = guest::run(&format!("exec /bin/bash {}", script.display()), PATIENCE).unwrap();
    assert_eq!(told.code, Some(0), "{}", told.text);
}
