//! Part 2: the job, on the shipped runbook, judged by what stands in Slack and in the history.

use e2e::{Stack, Witness, http, slack::Slack, wait};
use serde_json::{Value, json};

/// A server with the shipped runbook, an agent for two hosts, and Slack.
pub(crate) fn ready(slack: &Slack) -> Stack {
    let mut stack = Stack::server();
    for (name, source) in runbooks::ALL {
        let output = stack.cli(&["put", &stack.file(&format!("{name}.yaml"), source)]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let env = slack.environment();
    let args = [
        "--label",
        "host=web-1",
        "--label",
        "host=web-2",
        "--secret-env",
        "SLACK_BOT_TOKEN",
    ];
    stack.agent("near", &args, &env);
    stack
}

pub(crate) fn alert(title: &str) -> Value {
    json!({ "id": format!("e2e-{title}"), "title": title, "severity": "critical", "hosts": ["web-1", "web-2"],
            "tags": ["team:backend", "env:production"], "links": ["https://app.example.com/monitor/1"] })
}

pub(crate) fn posted(stack: &Stack, alert: &Value) -> String {
    let answer = http::post_json(stack.address(), "/webhook/incident-response", alert);
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["run_id"]
        .as_str()
        .expect("the shipped runbook is bound")
        .to_owned()
}

pub(crate) fn step(view: &Value, key: &str) -> Value {
    view["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["key"] == key)
        .unwrap_or_else(|| panic!("no step {key}"))
        .clone()
}

/// The one incident channel.
pub(crate) fn room(slack: &Slack) -> Value {
    let state = slack.emulator().handle().state();
    let rooms: Vec<Value> = state["channels"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["name"].as_str().unwrap().starts_with("inc-"))
        .cloned()
        .collect();
    assert_eq!(rooms.len(), 1, "one room: {rooms:#?}");
    rooms[0].clone()
}

#[test]
fn an_alert_becomes_a_staffed_room_with_findings() {
    let slack = Slack::start();
    let stack = ready(&slack);
    let run = posted(&stack, &alert("API errors above 5 %"));
    let view = stack.finished(&run);
    assert!(
        view["outcome"] == "succeeded" || view["outcome"] == "degraded",
        "{view:#}"
    );
    for key in [
        "parse-incident-event",
        "setup-slack-integration",
        "resolve-slack-users",
        "create-war-room",
        "technical-investigation",
        "update-slack-thread",
        "final-summary",
    ] {
        let state = step(&view, key)["state"].clone();
        assert!(
            state == "succeeded" || state == "degraded",
            "{key}: {state} {view:#}"
        );
    }
    let room = room(&slack);
    assert!(!room["members"].as_array().unwrap().is_empty());
    let first = &room["messages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["pinned"] == true)
        .expect("a pinned brief")
        .clone();
    let text = first.to_string();
    assert!(text.contains("API errors above 5 %"), "{text}");
    let replies = first["replies"].as_array().unwrap();
    let all = Value::Array(replies.clone()).to_string();
    assert!(
        all.contains("web-1") && all.contains("web-2") && all.contains("memory"),
        "{all}"
    );
    let findings = step(&view, "technical-investigation")["outputs"]["investigation"]["findings"].clone();
    assert!(!findings.as_array().unwrap().is_empty());
    for finding in findings.as_array().unwrap() {
        assert_eq!(finding["evidence"]["run"], run.as_str(), "{finding}");
        assert!(
            finding["evidence"]["agent"].is_string() && finding["evidence"]["output"].is_string(),
            "{finding}"
        );
    }
    // One container for each host ran on the agent that is there.
    let attempts = step(&view, "host-checks")["attempts"].clone();
    assert_eq!(attempts.as_array().unwrap().len(), 2, "{attempts}");
    let incident = &stack.json(&["incidents", "-o", "json"]).unwrap()[0];
    assert_eq!(incident["title"], "API errors above 5 %");
}

/// The shipped runbook with one line more: each host's check tells the witness that it runs.
#[test]
fn one_container_runs_for_each_host_by_the_witness() {
    let slack = Slack::start();
    let stack = ready(&slack);
    let witness = Witness::start();
    let (_, source) = runbooks::ALL[0];
    let view = "    host-view: [proc]\n";
    let first = "      proc=/host/proc\n";
    assert!(
        source.contains(view) && source.contains(first),
        "the shipped runbook changed"
    );
    let port = witness.port();
    let source = source
        .replacen(
            view,
            &format!("{view}    network: host\n    env: {{ HOST: \"${{{{ each.value }}}}\" }}\n"),
            1,
        )
        .replacen(
            first,
            &format!("      bash -c 'echo \"$HOST\" > /dev/tcp/127.0.0.1/{port}'\n{first}"),
            1,
        );
    let output = stack.cli(&["put", &stack.file("witnessed.yaml", &source)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let run = posted(&stack, &alert("witnessed"));
    let view = stack.finished(&run);
    assert_ne!(view["outcome"], "failed", "{view:#}");
    assert_eq!(
        (witness.count("web-1"), witness.count("web-2")),
        (1, 1),
        "{view:#}"
    );
}

#[test]
fn another_payload_changes_title_hosts_and_findings() {
    let slack = Slack::start();
    let stack = ready(&slack);
    let mut other = alert("Queue is growing");
    other["hosts"] = json!(["web-2", "db-7"]);
    let run = posted(&stack, &other);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "degraded", "db-7 has no agent: {view:#}");
    let text = view["reasons"].to_string();
    assert!(text.contains("db-7"), "{text}");
    let findings = step(&view, "technical-investigation")["outputs"]["investigation"]["findings"].to_string();
    assert!(
        findings.contains("web-2") && !findings.contains("web-1") && !findings.contains("db-7\""),
        "{findings}"
    );
    assert!(room(&slack).to_string().contains("Queue is growing"));
}

#[test]
fn kill_9_of_server_and_agent_in_the_middle_makes_one_room_and_no_double_post() {
    let slack = Slack::start();
    let mut stack = ready(&slack);
    let run = posted(&stack, &alert("killed in the middle"));
    wait::until("the room to be there", e2e::stack::PATIENCE, || {
        let state = slack.emulator().handle().state();
        state["channels"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["name"].as_str().unwrap().starts_with("inc-"))
            .then_some(())
    });
    stack.agent_process("near").kill9();
    stack.server_process().kill9();
    stack.start_server();
    stack.start_agent("near");
    let view = stack.finished(&run);
    assert!(view["outcome"].is_string(), "{view:#}");
    let room = room(&slack);
    let briefs = room["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["pinned"] == true)
        .count();
    assert!(briefs <= 1, "{room:#}");
    let mut keys: Vec<String> = messages(&room)
        .iter()
        .filter_map(|m| {
            m["metadata"]["event_payload"]
                .as_object()
                .map(|p| format!("{p:?}"))
        })
        .collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(all, keys.len(), "a post was made twice: {room:#}");
}

pub(crate) fn messages(room: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for message in room["messages"].as_array().unwrap() {
        all.push(message.clone());
        all.extend(message["replies"].as_array().into_iter().flatten().cloned());
    }
    all
}
