//! kill -9 loses nothing and doubles nothing, judged by the witness.

use std::{thread, time::Duration};

use e2e::{Stack, Witness, wait};
use serde_json::Value;

/// A step that says when it began and ended, prints in between, and ends with code 7.
fn long(witness: &Witness) -> String {
    format!(
        r#"
name: long
steps:
  work:
    image: host
    network: host
    run: |
      {start}
      for i in $(seq 1 20); do echo "line $i"; sleep 0.1; done
      {end}
      exit 7
"#,
        start = witness.say("start"),
        end = witness.say("end")
    )
}

fn expected_log() -> Vec<u8> {
    (1..=20)
        .map(|i| format!("line {i}\n"))
        .collect::<String>()
        .into_bytes()
}

fn attempt(view: &Value) -> Value {
    let attempts = view["steps"][0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "one attempt: {view:#}");
    attempts[0].clone()
}

/// The same attempt, one start by the witness, the real exit code, no byte missing.
fn judged(stack: &Stack, witness: &Witness, run: &str) {
    let view = stack.finished(run);
    assert_eq!(view["outcome"], "failed", "{view:#}\n{}", stack.said());
    assert_eq!(attempt(&view)["exit_code"], 7, "{view:#}");
    assert_eq!((witness.count("start"), witness.count("end")), (1, 1));
    let log = wait::until("every byte of the log", Duration::from_secs(10), || {
        let log = stack.logs(run, "work");
        (log.len() >= expected_log().len()).then_some(log)
    });
    assert_eq!(
        String::from_utf8_lossy(&log),
        String::from_utf8_lossy(&expected_log())
    );
}

#[test]
fn kill_9_of_the_server_during_a_step() {
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let run = stack.start(&long(&witness), &[]);
    witness.wait_for("start");
    stack.server_process().kill9();
    thread::sleep(Duration::from_millis(400));
    stack.start_server();
    judged(&stack, &witness, &run);
}

#[test]
fn kill_9_of_the_server_that_comes_back_after_the_step_ended() {
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let run = stack.start(&long(&witness), &[]);
    witness.wait_for("start");
    stack.server_process().kill9();
    witness.wait_for("end");
    thread::sleep(Duration::from_millis(300));
    stack.start_server();
    judged(&stack, &witness, &run);
}

#[test]
fn kill_9_of_the_agent_during_a_step() {
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let run = stack.start(&long(&witness), &[]);
    witness.wait_for("start");
    stack.agent_process("one").kill9();
    thread::sleep(Duration::from_millis(400));
    stack.start_agent("one");
    judged(&stack, &witness, &run);
}

#[test]
fn kill_9_of_the_agent_that_comes_back_after_the_step_ended() {
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let run = stack.start(&long(&witness), &[]);
    witness.wait_for("start");
    stack.agent_process("one").kill9();
    witness.wait_for("end");
    thread::sleep(Duration::from_millis(300));
    stack.start_agent("one");
    judged(&stack, &witness, &run);
}

#[test]
fn kill_9_of_both_during_a_step() {
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let run = stack.start(&long(&witness), &[]);
    witness.wait_for("start");
    stack.agent_process("one").kill9();
    stack.server_process().kill9();
    thread::sleep(Duration::from_millis(400));
    stack.start_server();
    stack.start_agent("one");
    judged(&stack, &witness, &run);
}

#[test]
fn a_frozen_agent_goes_on_where_it_was() {
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let run = stack.start(&long(&witness), &[]);
    witness.wait_for("start");
    let pid = stack.agent_process("one").pid();
    e2e::process::signal(pid, libc::SIGSTOP);
    thread::sleep(Duration::from_millis(1_500));
    e2e::process::signal(pid, libc::SIGCONT);
    judged(&stack, &witness, &run);
}

/// The process aborts right before, then right after the Nth commit of a run, for every N until it passes untouched.
#[test]
fn an_abort_at_every_commit_of_a_run_loses_and_doubles_nothing() {
    for when in ["before", "after"] {
        let mut n = 1;
        loop {
            let witness = Witness::start();
            let crashed = crash_at(&format!("history.commit.{when}"), n, &witness);
            if !crashed {
                assert!(n > 4, "a run has more commits than {n}: does the failpoint work?");
                eprintln!("{when}: {} commits covered", n - 1);
                break;
            }
            n += 1;
            assert!(n < 60, "a two-step run has fewer than 60 commits");
        }
    }
}

/// Runs two steps with the failpoint armed; answers whether the server died of it.
fn crash_at(failpoint: &str, nth: u32, witness: &Witness) -> bool {
    let mut stack = Stack::with_agent();
    stack.server_process().stop();
    stack.arm(failpoint, &format!("{nth} kill"));
    stack.spawn_server();
    let definition = format!(
        "name: two\nsteps:\n  a:\n    image: host\n    network: host\n    run: {:?}\n  b:\n    needs: a\n    image: host\n    network: host\n    run: {:?}\n",
        witness.say("a"),
        witness.say("b"),
    );
    let file = stack.file("two.yaml", &definition);
    let mut crashed = false;
    // The idempotency key makes the start itself safe to repeat.
    let start = |stack: &Stack| stack.cli(&["run", &file, "--idempotency-key", "once"]);
    let run = wait::until("the run to be started", Duration::from_secs(40), || {
        if stack.server_process().ended().is_some() {
            crashed = true;
            stack.start_server();
        }
        let output = start(&stack);
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    });
    let view = wait::until("the run to end", Duration::from_secs(40), || {
        if stack.server_process().ended().is_some() {
            crashed = true;
            stack.start_server();
        }
        let view = stack.json(&["show", &run, "-o", "json"])?;
        (!view["outcome"].is_null()).then_some(view)
    });
    assert_eq!(
        view["outcome"],
        "succeeded",
        "{nth} {failpoint}: {view:#}\n{}",
        stack.said()
    );
    assert_eq!(
        (witness.count("a"), witness.count("b")),
        (1, 1),
        "{nth} {failpoint}"
    );
    assert_eq!(
        stack
            .json(&["runs", "-o", "json"])
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1,
        "{nth} {failpoint}"
    );
    crashed || stack.server_process().ended().is_some()
}
