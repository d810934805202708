//! The API from a page, by gRPC-Web.

use e2e::{Stack, browser::Script, http};
use serde_json::{Value, json};

/// No agent has this label, so it waits until it is cancelled.
const WAITS: &str = "\
name: waits
steps:
  never:
    runs-on: { host: nowhere }
    pickup: 10m
    image: host
    run: echo never
";

#[test]
fn a_page_makes_the_calls_and_watches_a_run_by_grpc_web() {
    let mut stack = Stack::server();
    let title = json!({ "id": "INC-1", "title": "Disk füll 🔥", "severity": "high" });
    let answer = http::post_json(stack.address(), "/webhook/incident-response", &title);
    assert_eq!(answer.status, 202, "{answer:?}");
    let waits = stack.start(WAITS, &[]);
    let mut script = Script::start(&stack, "grpc_web", &json!({ "waits": waits }));
    // No agent is there yet: what the page has seen by now came while the run was live.
    script.reaches("watches a run that waits for an agent");
    stack.agent("one", &["--label", "host=web-1"], &[]);
    script.goes_on(&Value::Null);
    script.reaches("has seen the run's end");
    script.goes_on(&Value::Null);
    script.passes();
}

#[test]
fn a_foreign_page_gets_nothing_from_the_server() {
    let stack = Stack::with_agent();
    e2e::browser::passes(&stack, "foreign", &json!({}));
    let incidents = stack.json(&["incidents", "-o", "json"]).unwrap();
    assert_eq!(incidents, json!([]), "a foreign page has opened an incident");
    assert_eq!(stack.json(&["runs", "-o", "json"]).unwrap(), json!([]));
}
