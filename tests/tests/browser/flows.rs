//! What people do on the pages while things happen.

use e2e::{Stack, browser::Script, gate::Gate, slack::Slack, stack::PATIENCE, wait};
use serde_json::{Value, json};

use crate::world::{alert, latency, staffed, until};

#[test]
fn an_alert_appears_by_itself_and_its_incident_fills_up() {
    let slack = Slack::start();
    let stack = staffed(&slack);
    let mut script = Script::start(&stack, "incident", &json!({}));
    script.reaches("looks at the empty list");
    let (incident, run) = alert(&stack, &latency());
    script.goes_on(&json!({ "incident": incident, "run": run }));
    script.reaches("has opened the incident");
    let run = stack.finished(&run);
    assert_ne!(run["outcome"], "failed", "{run:#}");
    script.goes_on(&run["outcome"]);
    script.passes();
}

/// Two gates: the graph changes when the first opens, the log grows when the second does.
fn gated(first: &Gate, second: &Gate) -> String {
    format!(
        r#"name: gated
description: Waits twice
steps:
  first:
    image: host
    network: host
    run: |
      printf '\033[1;31mred\033[0m begins\n'
      {}
      echo 'answer=42' >> "$FIREHALL_OUTPUT"
    outputs: {{ answer: int }}
  tries:
    image: host
    run: echo one more try; exit 3
    retry: {{ limit: 1, delay: 100ms }}
    allow-failure: true
  second:
    needs: first
    image: host
    network: host
    run: |
      i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo "before $i"; done
      {}
      i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo "after $i"; done
      echo 'a needle in the end'
"#,
        first.wait(),
        second.wait()
    )
}

#[test]
fn a_run_is_watched_live_from_its_graph_to_its_log() {
    let stack = Stack::with_agent();
    let mut script = Script::start(&stack, "run", &json!({}));
    script.reaches("looks at the empty list of runs");
    let (first, second) = (Gate::closed(), Gate::closed());
    let run = stack.start(&gated(&first, &second), &[]);
    script.goes_on(&run.as_str().into());
    script.reaches("sees the first step run");
    first.open();
    script.goes_on(&Value::Null);
    script.reaches("follows the second step's log");
    second.open();
    script.goes_on(&Value::Null);
    script.passes();
}

#[test]
fn a_page_outlives_its_server_and_misses_nothing() {
    let mut stack = Stack::with_agent();
    let (first, second) = (Gate::closed(), Gate::closed());
    let run = stack.start(&gated(&first, &second), &[]);
    until(&stack, &run, "first", "running");
    let mut script = Script::start(&stack, "reconnect", &json!({ "run": run }));
    script.reaches("watches the run");
    stack.server_process().kill9();
    script.goes_on(&Value::Null);
    script.reaches("sees that the connection is lost");
    // Happens while no server is there.
    first.open();
    second.open();
    stack.start_server();
    let ended = stack.finished(&run);
    let count = ended["seq"].as_u64().expect("events").to_string();
    let events = stack.cli(&["events", "--from-start", "--run", &run, "--count", &count]);
    let cursors: Vec<Value> = String::from_utf8(events.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["cursor"].clone())
        .collect();
    script.goes_on(&json!({ "cursors": cursors, "outcome": ended["outcome"] }));
    script.passes();
}

#[test]
fn everything_can_be_reached_with_keys_alone() {
    let slack = Slack::start();
    let stack = staffed(&slack);
    let (incident, run) = alert(&stack, &latency());
    let _ended = stack.finished(&run);
    wait::until("the incident to be listed", PATIENCE, || {
        let incidents = stack.json(&["incidents", "-o", "json"])?;
        (incidents[0]["id"] == incident.as_str()).then_some(())
    });
    let given = json!({ "incident": incident, "run": run });
    e2e::browser::passes(&stack, "keyboard", &given);
}
