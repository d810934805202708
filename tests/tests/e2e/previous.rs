//! This version and the one before it, in every pairing, through an upgrade and a rollback in the middle of a run.

use std::path::Path;

use e2e::{Stack, Witness, gate::Gate, previous, process};

use crate::upgrade::{gated, ran_once};

/// A server and an agent of these binaries, on a store that no other made.
fn stack_of(server: &Path, agent: &Path) -> Stack {
    let mut stack = Stack::server();
    stack.server_process().stop();
    std::fs::remove_dir_all(stack.dir().join("server")).expect("this version's store");
    stack.server_is(server);
    stack.agents_are(agent);
    stack.start_server();
    stack.agent("one", &[], &[]);
    stack
}

/// They run a step in a container to its end.
fn work(server: &Path, agent: &Path) {
    let (witness, gate) = (Witness::start(), Gate::closed());
    let mut stack = stack_of(server, agent);
    let run = stack.start(&gated(&witness, &gate), &[]);
    witness.wait_for("start");
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
