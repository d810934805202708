//! A server that has seen something of everything: what a page can show, it can show here.

use e2e::{Stack, http, slack::Slack, stack::PATIENCE, wait};
use serde_json::{Value, json};

/// Steps in most states, among them one that waits for good.
const STATES: &str = r#"
name: states
description: A step in every state
inputs:
  hosts: { type: list<string>, default: [web-1, nowhere-1, web-2] }
steps:
  prints:
    image: host
    run: |
      printf '\033[1;32mgreen\033[0m and \033[31mred\033[0m\n'
      seq 1 300
      echo careful >&2
      echo 'answer=42' >> "$FIREHALL_OUTPUT"
    outputs: { answer: int }
  fails-twice:
    image: host
    run: echo trying; exit 3
    retry: { limit: 1, delay: 100ms }
    allow-failure: true
  left-out:
    when: 'false'
    image: host
    run: 'true'
  each-host:
    foreach: ${{ inputs.hosts }}
    runs-on: { host: "${{ agent_host(each.value) }}" }
    pickup: 1s
    allow-failure: true
    image: host
    run: echo here
  waits:
    needs: prints
    runs-on: { host: nowhere }
    pickup: 1h
    image: host
    run: 'true'
  behind:
    needs: waits
    image: host
    run: 'true'
"#;

const FAILS: &str = "\
name: fails
steps:
  breaks: { image: host, run: exit 3 }
  never: { needs: breaks, image: host, run: 'true' }
";

/// Its agent is killed: nobody knows how it ended.
const DOUBT: &str = "\
name: doubt
steps:
  charge:
    runs-on: { host: lost }
    disconnect: 1s
    if-lost: { ask: 1h }
    image: host
    run: sleep 600
";

/// All of it.
pub(crate) struct World {
    pub(crate) stack: Stack,
    // Its rooms are linked from the pages.
    _slack: Slack,
    /// Addresses by name, for scripts.
    pub(crate) given: Value,
}

/// A server, Slack, the shipped runbook bound to alerts, and agents on the alert's hosts.
pub(crate) fn staffed(slack: &Slack) -> Stack {
    let mut stack = Stack::server();
    for (name, source) in runbooks::ALL {
        put(&stack, &format!("{name}.yaml"), source);
    }
    let secret = ["--secret-env", "SLACK_BOT_TOKEN"];
    let near = ["--label", "host=web-1", "--label", "host=web-2"];
    stack.agent("near", &[&near[..], &secret].concat(), &slack.environment());
    stack.agent("far", &["--label", "host=db-1"], &[]);
    stack
}

pub(crate) fn put(stack: &Stack, file: &str, source: &str) {
    let output = stack.cli(&["put", &stack.file(file, source)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Posts an alert; answers the incident's id and the run's.
pub(crate) fn alert(stack: &Stack, alert: &Value) -> (String, String) {
    let answer = http::post_json(stack.address(), "/webhook/incident-response", alert);
    assert_eq!(answer.status, 202, "{answer:?}");
    let answer = answer.json();
    let id = |key: &str| answer[key].as_str().expect("the runbook is bound").to_owned();
    (id("incident_id"), id("run_id"))
}

pub(crate) fn latency() -> Value {
    json!({
        "id": "INC-4711", "title": "Checkout latency is up", "severity": "critical",
        "description": "p99 is above 2 s since the last deployment.", "hosts": ["web-1", "web-2", "db-1"],
        "tags": ["team:backend", "env:production"], "links": ["https://app.example.com/monitor/1"],
    })
}

/// Waits until a step of a run is in a state.
pub(crate) fn until(stack: &Stack, run: &str, step: &str, state: &str) {
    let mut seen = String::new();
    wait::until(&format!("{step} of {run} to be {state}"), PATIENCE, || {
        let view = stack.json(&["show", run, "-o", "json"])?;
        let steps = view["steps"].as_array()?;
        let found = steps.iter().find(|one| one["key"] == step)?;
        let now = found["state"].as_str()?;
        if now != seen {
            println!("{run}: {step} is {now} {}", found["reasons"]);
            now.clone_into(&mut seen);
        }
        (now == state).then_some(())
    });
}

impl World {
    /// Makes it; what takes time is made at once.
    pub(crate) fn make() -> Self {
        let slack = Slack::start();
        let mut stack = staffed(&slack);
        stack.agent("lost", &["--label", "host=lost"], &[]);
        let doubt = stack.start(DOUBT, &[]);
        until(&stack, &doubt, "charge", "running");
        stack.agent_process("lost").kill9();
        let (incident, response) = alert(&stack, &latency());
        put(&stack, "states.yaml", STATES);
        let live = stack.start(STATES, &[]);
        let failed = stack.start(FAILS, &[]);
        let cancelled = stack.start(STATES, &[]);
        until(&stack, &cancelled, "prints", "succeeded");
        assert!(stack.cli(&["cancel", &cancelled]).status.success());
        for run in [&response, &failed, &cancelled] {
            let _ended = stack.finished(run);
        }
        until(&stack, &live, "each-host", "degraded");
        until(&stack, &doubt, "charge", "in_doubt");
        let given = json!({
            "incident": incident, "response": response, "live": live, "failed": failed, "cancelled": cancelled,
            "doubt": doubt,
        });
        Self {
            stack,
            _slack: slack,
            given,
        }
    }
}
