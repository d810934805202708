//! This version and the one before it, in every pairing, through an upgrade and a rollback in the middle of a run.

use std::path::Path;

use e2e::{Stack, Witness, gate::Gate, previous, process, stack::PATIENCE, wait};

use crate::upgrade::{gated, ran_once};

/// What one side asks of the other beside a plain step: artifacts, a service with a secret and a file, items, a try more.
const ALL: &str = r#"
name: all
steps:
  keeps:
    image: host
    run: printf 'heap\n' > /tmp/heap; echo 'size=5' >> "$FIREHALL_OUTPUT"
    outputs: { size: int }
    artifacts: { heap: /tmp/heap }
  gets:
    image: host
    files: { /data/heap: { artifact: keeps.heap } }
    env: { SIZE: "${{ steps.keeps.outputs.size }}" }
    run: test "$(wc -c < /data/heap)" = "$SIZE"; cat /data/heap
  asks:
    image: host
    services:
      web:
        image: host
        files: { /srv/firehall-test/index.html: "hello\n" }
        secrets: { PASSWORD: WEB_PASSWORD }
        run: |
          echo "the password is $PASSWORD"
          exec busybox httpd -f -p 8080 -h /srv/firehall-test
        ready: { tcp: 8080 }
    run: busybox wget -q -O - http://web:8080/index.html
  each:
    foreach: ${{ [1, 2, 3] }}
    image: host
    env: { N: "${{ each.value }}" }
    run: echo "item $N"
  again:
    image: host
    retry: { limit: 1, delay: 1s, jitter: false }
    run: test "$FIREHALL_ATTEMPT" = 2
"#;

/// A run of all that, to its end.
fn all(stack: &Stack) {
    let run = stack.start(ALL, &[]);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}\n{}", stack.said());
    for (step, said) in [("gets", "heap\n"), ("asks", "hello\n")] {
        wait::until("the log", PATIENCE, || {
            (stack.logs(&run, step) == said.as_bytes()).then_some(())
        });
    }
    wait::until("the service's log", PATIENCE, || {
        let logs = stack.cli(&["logs", &run, "asks", "--service", "web"]);
        (logs.stdout == b"the password is ***\n").then_some(())
    });
}

/// A server and an agent of these binaries, on a store that no other made.
fn stack_of(server: &Path, agent: &Path) -> Stack {
    let mut stack = Stack::server();
    stack.server_process().stop();
    std::fs::remove_dir_all(stack.dir().join("server")).expect("this version's store");
    stack.server_is(server);
    stack.agents_are(agent);
    stack.start_server();
    let secret = ("WEB_PASSWORD".to_owned(), "hunter2-of-the-web".to_owned());
    stack.agent("one", &["--secret-env", "WEB_PASSWORD"], &[secret]);
    stack
}

/// They run what there is to its end, and a step that goes on meanwhile.
fn work(server: &Path, agent: &Path) {
    let (witness, gate) = (Witness::start(), Gate::closed());
    let stack = stack_of(server, agent);
    let run = stack.start(&gated(&witness, &gate), &[]);
    witness.wait_for("start");
    all(&stack);
    gate.open();
    ran_once(&stack, &witness, &run);
}

#[test]
fn full_a_server_works_with_an_agent_of_the_version_before() {
    work(&process::binary(), &previous::binary());
}

#[test]
fn full_an_agent_works_with_a_server_of_the_version_before() {
    work(&previous::binary(), &process::binary());
}

#[test]
fn full_a_run_lives_through_an_upgrade_and_a_rollback() {
    let (old, new) = (previous::binary(), process::binary());
    let (witness, gate) = (Witness::start(), Gate::closed());
    let mut stack = stack_of(&old, &old);
    let run = stack.start(&gated(&witness, &gate), &[]);
    witness.wait_for("start");
    // Up, agents first; then down, the server first; each time with the store and the spool of the other.
    for (server, agent) in [
        (&old, &new),
        (&new, &new),
        (&old, &new),
        (&old, &old),
        (&new, &old),
    ] {
        stack.server_is(server);
        stack.agents_are(agent);
        stack.agent_process("one").stop();
        stack.server_process().stop();
        stack.start_server();
        stack.start_agent("one");
        stack.connected("one");
        all(&stack);
    }
    assert_eq!(witness.count("end"), 0, "the step went on all the while");
    gate.open();
    ran_once(&stack, &witness, &run);
    // What the one wrote of the end is read by the other.
    stack.server_process().stop();
    stack.server_is(&old);
    stack.start_server();
    ran_once(&stack, &witness, &run);
}
