//! Drained, restarted and replaced while steps run: none is stopped, none runs twice.

use std::{fs, path::Path, process::Stdio, time::Duration};

use e2e::{Stack, Witness, gate::Gate, process, stack::PATIENCE, wait};

/// A step that waits at a gate and ends with code 7.
pub(crate) fn gated(witness: &Witness, gate: &Gate) -> String {
    format!(
        "
name: gated
steps:
  work:
    image: host
    network: host
    run: |
      {start}
      echo before
      {wait}
      echo after
      {end}
      exit 7
",
        start = witness.say("start"),
        wait = gate.wait(),
        end = witness.say("end")
    )
}

/// One attempt, one start by the witness, its own exit code, the whole log.
pub(crate) fn ran_once(stack: &Stack, witness: &Witness, run: &str) {
    let view = stack.finished(run);
    let attempts = view["steps"][0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{view:#}\n{}", stack.said());
    assert_eq!(attempts[0]["exit_code"], 7, "{view:#}\n{}", stack.said());
    assert_eq!((witness.count("start"), witness.count("end")), (1, 1));
    wait::until("the whole log", PATIENCE, || {
        (stack.logs(run, "work") == b"before\nafter\n").then_some(())
    });
}

/// Puts a binary in the place of another, as a package manager does.
fn replace(with: &Path, at: &Path) {
    let new = at.with_extension("new");
    fs::copy(with, &new).unwrap();
    fs::rename(new, at).unwrap();
}

#[test]
fn a_drain_that_waits_comes_back_when_the_step_has_ended() {
    let (witness, gate) = (Witness::start(), Gate::closed());
    let stack = Stack::with_agent();
    let run = stack.start(&gated(&witness, &gate), &[]);
    witness.wait_for("start");
    let early = stack.cli(&["agents", "drain", "one", "--wait", "--within", "1s"]);
    let why = String::from_utf8_lossy(&early.stderr).into_owned();
    assert_eq!(early.status.code(), Some(1), "{why}");
    assert!(why.contains("1 attempt still runs there"), "{why}");
    let mut drain = process::firehall()
        .env("FIREHALL_SERVER", stack.url())
        .args(["agents", "drain", "one", "--wait", "--reason", "kernel"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let next = stack.start(
        "name: next\nsteps:\n  s:\n    image: host\n    run: echo hi\n",
        &[],
    );
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(
        drain.try_wait().unwrap().is_none(),
        "it waits while the step runs"
    );
    assert!(stack.show(&next)["outcome"].is_null(), "nothing new is offered");
    gate.open();
    wait::until("the drain to come back", PATIENCE, || drain.try_wait().unwrap());
    let output = drain.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "one is drained: nothing runs there\n"
    );
    ran_once(&stack, &witness, &run);
    assert!(stack.show(&next)["outcome"].is_null(), "still drained");
    assert!(stack.cli(&["agents", "uncordon", "one"]).status.success());
    assert_eq!(stack.finished(&next)["outcome"], "succeeded");
}

#[test]
fn both_sides_are_upgraded_in_place_while_a_step_runs() {
    let (witness, gate) = (Witness::start(), Gate::closed());
    let mut stack = Stack::server();
    let installed = stack.dir().join("installed");
    replace(&process::binary(), &installed);
    stack.server_is(&installed);
    stack.agents_are(&installed);
    stack.server_process().stop();
    stack.start_server();
    stack.agent("one", &[], &[]);
    let run = stack.start(&gated(&witness, &gate), &[]);
    witness.wait_for("start");
    // The file that everything was started from is another one now; the step's own shim goes on from the old one.
    replace(&process::binary(), &installed);
    stack.agent_process("one").stop();
    stack.start_agent("one");
    stack.server_process().stop();
    stack.start_server();
    stack.connected("one");
    // And at once, as when a whole host is upgraded.
    replace(&process::binary(), &installed);
    stack.server_process().stop();
    stack.agent_process("one").stop();
    stack.start_server();
    stack.start_agent("one");
    assert_eq!(witness.count("end"), 0, "the step went on all the while");
    gate.open();
    ran_once(&stack, &witness, &run);
}
