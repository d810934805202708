//! What operators do by hand: open an incident, repeat a run, drain an agent.

use std::time::Duration;

use e2e::{Stack, Witness, gate::Gate, http, stack::PATIENCE, wait};

use crate::upgrade::{gated, ran_once};

const BOUND: &str = "\
name: bound
on:
  alert: {}
inputs:
  responders: { type: list<string>, default: [] }
steps:
  first:
    image: host
    run: echo \"id=$RANDOM$RANDOM\" >> \"$FIREHALL_OUTPUT\"; echo once
    outputs: { id: string }
  second:
    needs: first
    image: host
    run: exit 3
";

#[test]
fn an_incident_opened_by_hand_starts_a_run_that_is_repeated_from_where_it_failed() {
    let stack = Stack::with_agent();
    let file = stack.file("bound.yaml", BOUND);
    assert!(stack.cli(&["put", &file]).status.success());
    let open = [
        "incident",
        "open",
        "--id",
        "INC-1",
        "--title",
        "Disk full",
        "--severity",
        "critical",
        "--users",
        "a@example.com,b@example.com",
        "-o",
        "json",
    ];
    let opened = stack.json(&open).unwrap();
    assert_eq!(opened["opened"], true, "{opened:#}");
    let run = opened["runs"][0].as_str().unwrap();
    let view = stack.finished(run);
    assert_eq!(view["outcome"], "failed", "{view:#}");
    let joined = stack.json(&open).unwrap();
    assert_eq!(
        (&joined["opened"], &joined["incident"]),
        (&false.into(), &opened["incident"])
    );
    let listed = stack
        .json(&["incident", "list", "--state", "open", "-o", "json"])
        .unwrap();
    assert_eq!(listed[0]["id"], opened["incident"], "{listed:#}");

    let again = stack.json(&["rerun", run, "-o", "json"]).unwrap();
    let again = stack.finished(again["id"].as_str().unwrap());
    assert_eq!(again["outcome"], "failed", "{again:#}");
    assert_eq!(again["rerun_of"], run, "{again:#}");
    let (old, new) = (&view["steps"][0], &again["steps"][0]);
    assert_eq!(
        new["outputs"], old["outputs"],
        "taken over, not run again: {again:#}"
    );
    assert_eq!(new["reused_from"], run, "{again:#}");
    assert_eq!(new["attempts"], serde_json::json!([]), "{again:#}");
}

#[test]
fn an_incident_that_nobody_can_make_sense_of_is_refused() {
    let stack = Stack::server();
    let open = |more: &[&str]| {
        let mut args = vec!["incident", "open", "--title", "t"];
        args.extend(more);
        let ended = stack.cli(&args);
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, said) = open(&["--severity", "dire"]);
    assert!(code == Some(2) && said.contains("critical"), "{said}");
    let (code, said) = open(&["--severity", "high", "--users", "a,,b"]);
    assert!(code == Some(2) && said.contains("--users"), "{said}");
    // No workflow is bound, so none takes the input.
    let (code, said) = open(&["--severity", "high", "--users", "a"]);
    assert!(code == Some(2) && said.contains("responders"), "{said}");
}

#[test]
fn events_go_on_after_a_cursor() {
    let stack = Stack::with_agent();
    let run = stack.start("name: w\nsteps:\n  s:\n    image: host\n    run: echo hi\n", &[]);
    assert_eq!(stack.finished(&run)["outcome"], "succeeded");
    let lines = |args: &[&str]| -> Vec<serde_json::Value> {
        let ended = stack.cli(args);
        assert!(ended.status.success(), "{ended:?}");
        let text = String::from_utf8(ended.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = lines(&["events", "--from-start", "--run", &run, "--count", "4"]);
    let seqs: Vec<_> = all.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4], "{all:?}");
    assert_eq!(all[0]["kind"], "run.started");
    let cursor = all[1]["cursor"].as_str().unwrap();
    let rest = lines(&["events", "--cursor", cursor, "--count", "2"]);
    assert_eq!(rest, all[2..], "neither a gap nor a repeat");
    let unknown = stack.cli(&["events", "--cursor", "x"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

#[test]
fn a_drained_agent_gets_nothing_new_until_it_is_undone() {
    let stack = Stack::with_agent();
    let name = "one";
    // The agent is started, which is not yet known to the server.
    wait::until("the agent to be connected", Duration::from_secs(20), || {
        let agents = stack.json(&["agents", "-o", "json"])?;
        (agents[0]["state"] == "connected").then_some(())
    });
    let drained = stack.json(&["drain", name, "-o", "json"]).unwrap();
    assert_eq!(drained["draining"], true, "{drained:#}");
    let run = stack.start("name: w\nsteps:\n  s:\n    image: host\n    run: echo hi\n", &[]);
    let waiting = stack.show(&run);
    assert_eq!(waiting["outcome"], serde_json::Value::Null, "{waiting:#}");
    assert!(
        waiting["steps"][0]["waits_for"]
            .as_str()
            .is_some_and(|why| why.contains("draining")),
        "{waiting:#}"
    );
    assert!(stack.cli(&["drain", name, "--undo"]).status.success());
    assert_eq!(stack.finished(&run)["outcome"], "succeeded");
    let unknown = stack.cli(&["drain", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}

#[test]
fn an_incident_is_opened_as_its_line_says_followed_and_shown() {
    let stack = Stack::with_agent();
    let file = stack.file("bound.yaml", BOUND);
    assert!(stack.cli(&["put", &file]).status.success());
    let line = [
        "incident",
        "open",
        "--id",
        "INC-2",
        "--title",
        "Disk full",
        "--severity",
        "critical",
        "--users",
        "a@x,b@x",
        "--test",
    ];
    let said = |args: &[&str]| {
        let ended = stack.cli(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
    };
    // No workflow has a room: the flag is named, and nothing is opened.
    let (code, out, err) = said(&[&line[..], &["--channel-privacy", "private"]].concat());
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        err.contains("--channel-privacy") && err.contains("no bound workflow declares it"),
        "{err}"
    );
    let (_, out, _) = said(&["incident", "list", "-o", "json"]);
    assert_eq!(out.trim(), "[]");

    // Its run fails, and so the command does.
    let (code, out, err) = said(&[&line[..], &["--watch"]].concat());
    assert_eq!(code, Some(1), "{out}{err}");
    let incident = out.lines().next().unwrap();
    assert!(incident.starts_with("inc_") && out.contains("  bound\n"), "{out}");
    let (_, out, _) = said(&["incident", "show", incident]);
    for words in [
        "[TEST] Disk full",
        "there known as INC-2",
        "bound started as run_",
        "opened by manual",
    ] {
        assert!(out.contains(words), "no {words:?} in\n{out}");
    }
    let (_, run, _) = said(&["runs", "-o", "json"]);
    let run = serde_json::from_str::<serde_json::Value>(&run).unwrap()[0]["id"].clone();
    let view = stack.finished(run.as_str().unwrap());
    assert_eq!(view["incident"], incident, "{view:#}");
    for (filter, found) in [("critical", true), ("low", false)] {
        let (_, out, _) = said(&[
            "incident",
            "list",
            "--severity",
            filter,
            "--source",
            "manual",
            "-o",
            "json",
        ]);
        assert_eq!(out.contains(incident), found, "{out}");
    }
    // An input of another type is read as its workflow declares it.
    let (code, _, err) = said(&[
        "incident",
        "open",
        "--title",
        "t",
        "--severity",
        "low",
        "-i",
        "responders=[\"c@x\"]",
    ]);
    assert_eq!(code, Some(0), "{err}");
}

/// What `/metrics` says of the only agent.
fn counted(stack: &Stack, name: &str) -> Option<f64> {
    let answer = http::request(stack.address(), "GET", "/metrics", &[], b"").ok()?;
    let series = format!("firehall_agent_{name}{{");
    let line = answer.body.lines().find(|line| line.starts_with(&series))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn what_an_agent_counts_of_itself_reaches_prometheus() {
    let (witness, gate) = (Witness::start(), Gate::closed());
    let mut stack = Stack::with_agent();
    let is = |stack: &Stack, name: &str, wanted: &dyn Fn(f64) -> bool| {
        wait::until(&format!("{name} to be counted"), PATIENCE, || {
            counted(stack, name).filter(|value| wanted(*value))
        })
    };
    is(&stack, "sessions", &|value| value == 1.0);
    let run = stack.start(&gated(&witness, &gate), &[]);
    witness.wait_for("start");
    is(&stack, "executing", &|value| value == 1.0);
    assert_eq!(counted(&stack, "reports_waiting"), Some(0.0));
    assert!(counted(&stack, "spool_bytes") > Some(0.0));
    assert!(counted(&stack, "resident_bytes") > Some(1e6));

    // It comes back to another server.
    stack.server_process().kill9();
    stack.start_server();
    is(&stack, "sessions", &|value| value >= 2.0);

    // The server has heard how it ended, and does not say so for longer than from one heartbeat to the next.
    stack.arm("result.recv", "sleep 12000");
    gate.open();
    is(&stack, "reports_waiting", &|value| value == 1.0);
    assert_eq!(counted(&stack, "executing"), Some(0.0));
    ran_once(&stack, &witness, &run);
    is(&stack, "reports_waiting", &|value| value == 0.0);
}
