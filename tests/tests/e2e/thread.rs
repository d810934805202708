//! Part 1: a two-step workflow from the CLI, in native containers, followed live.

use e2e::Stack;

const TWO_STEPS: &str = r#"
name: two-steps
inputs:
  greeting: { type: string, default: hello }
steps:
  measure:
    image: host
    env: { GREETING: "${{ inputs.greeting }}" }
    run: |
      echo "out: $GREETING"
      echo "err" >&2
      echo "answer=42" >> "$FIREHALL_OUTPUT"
      printf 'said=%s\n' "$GREETING" >> "$FIREHALL_OUTPUT"
    outputs: { answer: int, said: string }
  tell:
    image: host
    env: { ANSWER: "${{ steps.measure.outputs.answer }}", SAID: "${{ steps.measure.outputs.said }}" }
    run: echo "the answer is $ANSWER, said $SAID"
"#;

#[test]
fn two_steps_run_in_order_and_hand_values_on() {
    let stack = Stack::with_agent();
    let run = stack.start(TWO_STEPS, &["--input", "greeting=good day"]);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    assert_eq!(stack.logs(&run, "measure"), b"out: good day\n");
    assert_eq!(stack.logs(&run, "tell"), b"the answer is 42, said good day\n");
    assert_eq!(stack.cli(&["logs", &run, "measure", "--stderr"]).stdout, b"err\n");
    let runs = stack.json(&["runs", "-o", "json"]).unwrap();
    let first = &runs.as_array().unwrap()[0];
    assert_eq!(first["id"], run.as_str());
    assert_eq!(first["workflow"], "two-steps");
    assert_eq!(first["outcome"], "succeeded");
    assert!(
        first["started_at"].is_string() && first["finished_at"].is_string(),
        "{first}"
    );
}

#[test]
fn watch_follows_in_lines_and_its_exit_code_tells_the_outcome() {
    let stack = Stack::with_agent();
    let file = stack.file("two.yaml", TWO_STEPS);
    let good = stack.cli(&["run", &file, "--watch"]);
    let text = String::from_utf8_lossy(&good.stdout).into_owned();
    assert_eq!(good.status.code(), Some(0), "{text}");
    assert!(
        text.contains("measure") && text.contains("tell") && text.contains("succeeded"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no escapes in a pipe: {text:?}");

    let file = stack.file(
        "bad.yaml",
        "name: bad\nsteps:\n  no:\n    image: host\n    run: exit 7\n",
    );
    let bad = stack.cli(&["run", &file, "--watch"]);
    assert_eq!(bad.status.code(), Some(1));
    let text = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert!(text.contains("failed") && text.contains('7'), "{text}");

    let degraded =
        "name: half\nsteps:\n  maybe:\n    image: host\n    run: exit 7\n    allow-failure: true\n";
    let file = stack.file("half.yaml", degraded);
    assert_eq!(stack.cli(&["run", &file, "--watch"]).status.code(), Some(3));
}

#[test]
fn a_step_sees_a_hardened_container_of_its_own() {
    let stack = Stack::with_agent();
    let run = stack.start(
        "name: look\nsteps:\n  look:\n    image: host\n    run: |\n      grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status\n      touch /usr/x 2>/dev/null && echo writable || echo read-only\n      ls /proc | grep -c '^[0-9]'\n      cat /etc/shadow >/dev/null 2>&1 && echo shadow || echo no-shadow\n",
        &[],
    );
    assert_eq!(stack.finished(&run)["outcome"], "succeeded");
    let text = String::from_utf8(stack.logs(&run, "look")).unwrap();
    for wanted in [
        "Seccomp:\t2",
        "NoNewPrivs:\t1",
        "CapEff:\t0000000000000000",
        "read-only",
        "no-shadow",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
}

#[test]
fn the_server_refuses_to_listen_beyond_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let output = e2e::process::run([
        "server",
        "--listen",
        "0.0.0.0:0",
        "--data-dir",
        dir.path().to_str().unwrap(),
    ]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("loopback") && text.contains("--insecure"), "{text}");
}

#[test]
fn an_unreachable_server_is_exit_code_4() {
    let output = e2e::process::run(["runs", "--server", "http://127.0.0.1:1"]);
    assert_eq!(
        output.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_fan_out_keeps_the_items_in_order_and_conditions_skip() {
    let stack = Stack::with_agent();
    let run = stack.start(
        r#"
name: fan
inputs: { names: { type: "list<string>", default: [a, b, c, d] } }
steps:
  each:
    foreach: ${{ inputs.names }}
    max-parallel: 2
    image: host
    env: { NAME: "${{ each.value }}", INDEX: "${{ each.index }}" }
    run: echo "name=$INDEX-$NAME" >> "$FIREHALL_OUTPUT"
    outputs: { name: string }
  never:
    needs: each
    when: size(inputs.names) > 10
    image: host
    run: "true"
  after:
    needs: never
    image: host
    run: "true"
"#,
        &[],
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    let step = |key: &str| {
        view["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["key"] == key)
            .unwrap()
            .clone()
    };
    let names: Vec<String> = step("each")["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["outputs"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["0-a", "1-b", "2-c", "3-d"]);
    assert_eq!(step("never")["state"], "skipped");
    assert_eq!(step("after")["state"], "succeeded");
}
