//! What people ask of the server by its pages: each form is filled in wrongly, then rightly, and done once.

use e2e::{Stack, browser::Script, stack::PATIENCE, wait};
use serde_json::{Value, json};

use crate::world::{put, until};

/// Inputs of each kind; an alert starts it, too.
const GREETS: &str = r#"
name: greets
description: Says hello
on: { alert: {} }
inputs:
  who: { type: string, default: you, description: Whom to greet }
  times: { type: int, default: 2 }
  tone: { type: string, enum: [warm, cool], default: warm }
  loud: { type: bool, default: false }
  places: { type: list<string>, default: [here] }
  more: { type: json, default: { key: none } }
steps:
  greet:
    image: host
    env:
      SAID: "${{ inputs.who }} ${{ inputs.times + 1 }} ${{ inputs.tone }} ${{ inputs.loud }} ${{ size(inputs.places) }} ${{ inputs.more.key }}"
    run: echo "hello $SAID"
"#;

const SLEEPS: &str = "
name: sleeps
steps:
  sleep: { image: host, run: sleep 600 }
  after: { needs: sleep, image: host, run: 'true' }
";

/// Its agent is killed: nobody knows how it ended.
const DOUBT: &str = "
name: doubt
steps:
  charge:
    runs-on: { host: lost }
    disconnect: 1s
    if-lost: { ask: 1h }
    image: host
    run: sleep 600
  ship: { needs: charge, image: host, run: echo shipped }
";

/// How many runs there are of a workflow.
fn count(stack: &Stack, workflow: &str) -> usize {
    let runs = stack.json(&["runs", "-o", "json"]).expect("runs");
    let runs = runs.as_array().expect("a list");
    runs.iter().filter(|run| run["workflow"] == workflow).count()
}

fn stack() -> Stack {
    let stack = Stack::with_agent();
    put(&stack, "greets.yaml", GREETS);
    stack
}

#[test]
fn incidents_and_runs_are_begun_by_forms() {
    let stack = stack();
    let mut script = Script::start(&stack, "begin", &json!({}));
    script.reaches("has opened an incident");
    let incidents = stack.json(&["incidents", "-o", "json"]).expect("incidents");
    assert_eq!(
        incidents.as_array().map(Vec::len),
        Some(1),
        "what was refused opened none"
    );
    assert_eq!(incidents[0]["title"], "Checkout is slow");
    assert_eq!(count(&stack, "greets"), 1);
    script.goes_on(&Value::Null);
    script.reaches("has started a run by two clicks");
    assert_eq!(count(&stack, "greets"), 2, "a double click starts one run");
    script.goes_on(&Value::Null);
    script.passes();
}

#[test]
fn a_run_is_cancelled_repeated_and_decided_by_forms() {
    let mut stack = stack();
    stack.agent("lost", &["--label", "host=lost"], &[]);
    let doubt = stack.start(DOUBT, &[]);
    until(&stack, &doubt, "charge", "running");
    stack.agent_process("lost").kill9();
    let sleeps = stack.start(SLEEPS, &[]);
    until(&stack, &sleeps, "sleep", "running");
    until(&stack, &doubt, "charge", "in_doubt");
    let given = json!({ "doubt": doubt, "sleeps": sleeps });
    let mut script = Script::start(&stack, "change", &given);
    script.reaches("has run it again");
    assert_eq!(count(&stack, "sleeps"), 2);
    script.goes_on(&Value::Null);
    script.reaches("has decided");
    let ended = stack.finished(&doubt);
    assert_eq!(ended["outcome"], "succeeded", "{ended:#}");
    script.goes_on(&Value::Null);
    script.reaches("has drained the agent");
    let agents = stack.json(&["agents", "-o", "json"]).expect("agents");
    let one = |agents: &Value| {
        let all = agents.as_array().expect("a list").clone();
        all.into_iter()
            .find(|agent| agent["name"] == "one")
            .expect("its row")
    };
    assert_eq!(one(&agents)["draining"], true, "{agents:#}");
    script.goes_on(&Value::Null);
    script.passes();
    wait::until("work to be offered again", PATIENCE, || {
        let agents = stack.json(&["agents", "-o", "json"])?;
        (one(&agents)["draining"] == false).then_some(())
    });
}

#[test]
fn forms_need_neither_a_mouse_nor_scripts() {
    for (name, title) in [
        ("forms_keys", "By keys alone"),
        ("forms_plain", "Without scripts"),
    ] {
        let stack = stack();
        let sleeps = stack.start(SLEEPS, &[]);
        until(&stack, &sleeps, "sleep", "running");
        e2e::browser::passes(&stack, name, &json!({ "sleeps": sleeps, "title": title }));
        assert_eq!(stack.finished(&sleeps)["outcome"], "cancelled");
        let incidents = stack.json(&["incidents", "-o", "json"]).expect("incidents");
        assert_eq!(incidents.as_array().map(Vec::len), Some(1), "{incidents:#}");
        assert_eq!(incidents[0]["title"], title);
    }
}
